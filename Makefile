# Weft -- make, make check, make lint, make install
#
# A layer lists its files in the order to read them; each may include only what stands before it.

CC	?= gcc
CXX	?= g++
AR	?= ar
B	?= build
# `make bench B=echo' says T=echo: the name of a row, where no build stands in a directory of that name.
ifneq ($(filter bench bench-against,$(MAKECMDGOALS)),)
ifneq ($(B),build)
ifeq ($(wildcard $(B:%=%/libweft.so))$(filter-out $(shell tests/bench/bench --rows),$(B)),)
override T := $(T) $(B)
override B := build
endif
endif
endif
PREFIX	?= /usr/local
VERSION	:= 0.1
ARCH	:= x86_64
SHELL	:= /bin/bash

ARCH_S		:= core/arch/$(ARCH)/switch.S core/arch/$(ARCH)/user.S
CORE		:= sys log pages conf stat mem clock heap stack task carrier cputime own hub ready timer poll sched futex offload asleep \
		   monitor fork
PRELOAD		:= elf/elfkind elf/ldpreload elf/object \
		   gate/confine gate/user gate/bound \
		   patch/codewrite patch/scan patch/opcode patch/decoder patch/insn patch/body patch/sites \
		   patch/sitecache patch/trampoline patch/patch \
		   signal/threadtimer signal/action signal/frame signal/catch signal/signal signal/sigcall \
		   fd/fd fd/age fd/fdkind fd/fdtable fd/transfer fd/sock fd/splice fd/procname fd/sigwait fd/io fd/mq \
		   fd/uring fd/multiplex \
		   process/shared process/credential process/exec process/process \
		   thread/sleep thread/futexcall thread/thread thread/cpuclock \
		   start/dispatch start/obstacle start/activate start/launch start/trigger
# They run in the program's time, not inside its system calls, and may use vector registers.
FREE		:= elf/object \
		   patch/codewrite patch/scan patch/opcode patch/decoder patch/insn patch/body patch/sites patch/sitecache \
		   patch/trampoline patch/patch
API		:= task
CLI		:= option quantity words unit \
		   load/histogram load/tally load/address load/connection load/echo load/http load/pool load/arrivals \
		   load/loop load/report load/load \
		   run child \
		   compare/reader compare/metric compare/estimate compare/schedule compare/verdict compare/fill \
		   compare/cost compare/serving compare/counters compare/blocked compare/plan compare/loadrun \
		   compare/trial compare/record compare/summary compare/report compare/plot compare/steal \
		   compare/compare \
		   help stats main
# Of preload, what the command needs as well: linked into both.
BOTH		:= elf/elfkind elf/ldpreload gate/confine

WARN	:= -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter \
	   -Wno-missing-field-initializers
ifdef WERROR
WARN	+= -Werror
endif
# DEBUG=1: unoptimised, with walks over whole structures (base.h: WALK).
OPT	:= $(if $(DEBUG),-O1 -g3 -DDEBUG,-O2 -g)
BASE	:= -std=gnu11 $(OPT) $(WARN) -fPIC -fvisibility=hidden -fno-stack-protector -U_FORTIFY_SOURCE \
	   -fasynchronous-unwind-tables -fno-omit-frame-pointer -D_GNU_SOURCE -MMD -MP
# Core and the handlers run inside system calls of the program: no vector register may change there.
GATED	:= $(BASE) -mgeneral-regs-only -ffreestanding $(if $(findstring clang,$(CC)),,-fno-tree-loop-distribute-patterns -mstringop-strategy=unrolled_loop)
IQ_CORE	:= -iquote core/arch/$(ARCH) -iquote core -iquote include
IQ_PRE	:= $(IQ_CORE) -iquote preload
IQ_API	:= $(IQ_PRE) -iquote preload/api -Iinclude
IQ_CLI	:= $(IQ_CORE) -iquote preload -iquote preload/cli -Iinclude -DLIBDIR='"$(PREFIX)/lib"' \
		   $(shell pkg-config --cflags jansson)
Q	:= $(if $(V),,@)
TRUE	:= /bin/true
say	= @printf '  %-6s %s\n' $(1) $(2)

CORE_O	:= $(CORE:%=$(B)/core/%.o) $(ARCH_S:%.S=$(B)/%.o)
PRE_O	:= $(PRELOAD:%=$(B)/preload/%.o) $(B)/preload/patch/thunk.o
API_O	:= $(API:%=$(B)/preload/api/%.o)
CLI_O	:= $(CLI:%=$(B)/preload/cli/%.o) $(BOTH:%=$(B)/preload/%.o)

all: $(B)/libweft.so $(B)/weft $(B)/weft.sites

# Each mapping of the library makes every fork dearer: text and constants share one, pointers and variables another.
$(B)/libweft.so: $(CORE_O) $(PRE_O) $(API_O) preload/weft.map core/anew.ld
	$(call say,LINK,$@)
	$(Q)$(CC) -shared -o $@ $(CORE_O) $(PRE_O) $(API_O) -Wl,-soname,libweft.so.0 -Wl,-z,defs,-z,now \
		-Wl,-z,noseparate-code,-z,norelro \
		-Wl,-T,core/anew.ld \
		-Wl,--version-script=preload/weft.map -Wl,--build-id -ldl -lpthread
	$(Q)ln -sf libweft.so $(B)/libweft.so.0

# What activation finds out about libc and the loader here. Without it, or with another libc, it searches them.
$(B)/weft.sites: $(B)/libweft.so
	$(call say,LEARN,$@)
	$(Q)rm -f $@; WEFT_LEARN=$@ WEFT_FORCE=1 LD_PRELOAD=$(abspath $<) $(TRUE) || rm -f $@

$(B)/weft: $(CLI_O)
	$(call say,LINK,$@)
	$(Q)$(CC) -o $@ $(CLI_O) $(shell pkg-config --libs jansson) -lm

$(B)/core/%.o: core/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GATED) $(IQ_CORE) -c -o $@ $<
$(B)/%.o: %.S
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE) $(IQ_PRE) -c -o $@ $<
$(FREE:%=$(B)/preload/%.o): $(B)/preload/%.o: preload/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE) $(IQ_PRE) -c -o $@ $<
$(B)/preload/%.o: preload/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GATED) $(IQ_PRE) -c -o $@ $<
$(B)/preload/api/%.o: preload/api/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE) $(IQ_API) -c -o $@ $<
$(B)/preload/cli/%.o: preload/cli/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE) $(IQ_CLI) -c -o $@ $<

D	:= $(DESTDIR)$(PREFIX)
install: all
	install -d $(D)/bin $(D)/lib/pkgconfig $(D)/include/weft $(D)/share/man/man1
	install $(B)/weft $(D)/bin/weft
	install $(B)/libweft.so $(D)/lib/libweft.so.0
	if [ -f $(B)/weft.sites ]; then install -m 644 $(B)/weft.sites $(D)/lib/weft.sites; fi
	ln -sf libweft.so.0 $(D)/lib/libweft.so
	install -m 644 include/weft.h $(D)/include/weft.h
	install -m 644 include/weft/*.h $(D)/include/weft/
	install -m 644 preload/cli/man/*.1 $(D)/share/man/man1/
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' preload/api/weft.pc.in > $(D)/lib/pkgconfig/weft.pc

uninstall:
	rm -rf $(D)/bin/weft $(D)/lib/libweft.so $(D)/lib/libweft.so.0 $(D)/lib/weft.sites $(D)/include/weft.h $(D)/include/weft \
		$(D)/lib/pkgconfig/weft.pc $(patsubst preload/cli/man/%,$(D)/share/man/man1/%,$(wildcard preload/cli/man/*.1))

clean:
	rm -rf $(B)


-include $(shell find $(B) -name "*.d" 2>/dev/null)
.PHONY: all install uninstall clean
include tests/tests.mk
include tests/bench/bench.mk
