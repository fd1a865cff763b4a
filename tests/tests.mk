# tests.mk -- programs of tests/ and the targets that run them; the Makefile includes it
#
#   make check                   unit, posix and api tests
#   make check-unit check-posix check-api check-apps check-slow
#   make check-posix T="mutex_types tls"     these tests
#   make check-loop T=mutex_types N=200      hunt a flake: rounds with other seeds, quiet while all is well
#   make lint
#
# Programs of tests/posix know nothing of Weft: they are compiled as any user would. What more a source wants, it says in its
# first comment; `tests/run --help' lists the words.

POSIX_C		:= $(filter-out %.so.c,$(wildcard tests/posix/*.c))
POSIX_BIN	:= $(POSIX_C:%.c=$(B)/%) $(patsubst %.cc,$(B)/%,$(wildcard tests/posix/*.cc))
UNIT_BIN	:= $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c))
API_BIN		:= $(patsubst %.c,$(B)/%,$(wildcard tests/api/*.c tests/examples/*.c))
SLOW_BIN	:= $(patsubst %.c,$(B)/%,$(wildcard tests/slow/*.c))

# $(call said,flags) -- what the first comment of $< has behind `flags:'
said		= $$(sed -n '/\*\//q; s/^[ */]*$(1):[ \t]*//p' $< $(WITHOUT))
# What only unit tests need, for a second opinion, and some distributions do not have.
WITHOUT		:= $(if $(wildcard /usr/include/Zydis/Zydis.h),,| sed 's/-lZydis//')
USER_C		= $(CC) -std=gnu11 $(USER_ALL)
USER_CXX	= $(CXX) -std=c++17 $(USER_ALL)
# The watchdog of check.h leaves time for tests/run to look at a program that hangs.
USER_ALL	= -O2 -g -Wall -Wextra $(if $(WERROR),-Werror) -pthread -MMD -MP $(call said,flags) \
		  $$(grep -q 'define CHECK_LIMIT_S' $< || echo -DCHECK_LIMIT_S=300)

# Parts of libc before 2.34, of which since then empty archives are left.
LIBC_PARTS	:= -Wl,--as-needed -lrt -ldl -lanl -lutil

# A program's shared objects stand beside it: NAME.so.c and NAME_….so.c.
.SECONDARY: $(patsubst %.c,$(B)/%,$(wildcard tests/posix/*.so.c))
.SECONDEXPANSION:
$(B)/tests/posix/%.so: tests/posix/%.so.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(USER_C) -shared -fPIC -o $@ $< $(call said,libs) $(LIBC_PARTS)
$(B)/tests/posix/%: tests/posix/%.c $$(addprefix $(B)/,$$(basename $$(wildcard tests/posix/$$*.so.c tests/posix/$$*_*.so.c)))
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(USER_C) -o $@ $< $(call said,libs) $(LIBC_PARTS)
$(B)/tests/posix/%: tests/posix/%.cc
	$(call say,CXX,$<)
	@mkdir -p $(@D)
	$(Q)$(USER_CXX) -o $@ $< $(call said,libs) $(LIBC_PARTS)
$(B)/tests/slow/%: tests/slow/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(USER_C) -iquote tests/posix -o $@ $< $(call said,libs)

$(B)/tests/api/%: tests/api/%.c $(B)/libweft.so
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(USER_C) -Iinclude -iquote tests/posix -o $@ $< -L$(B) -lweft -Wl,-rpath,'$$ORIGIN/../..' $(call said,libs) $(LIBC_PARTS)
$(B)/tests/examples/%: tests/examples/%.c $(B)/libweft.so
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(USER_C) -Iinclude -o $@ $< -L$(B) -lweft -Wl,-rpath,'$$ORIGIN/../..' $(call said,libs) $(LIBC_PARTS)

# Unit tests link with core alone, as an archive, so that a test may include a file of core instead of linking it; those of the
# parts that run in the program's time link with an archive of these as well, and those of the command's parts with one of those.
UNIT_FLAGS		:= -std=gnu11 -O1 -g $(WARN) -Wno-unused-function -D_GNU_SOURCE -pthread -MMD -MP

$(B)/core.a: $(CORE_O)
$(B)/free.a: $(FREE:%=$(B)/preload/%.o)
$(B)/cli.a: $(filter-out %/main.o,$(CLI_O))
$(B)/core.a $(B)/free.a $(B)/cli.a:
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
unit_libs	= $(if $(filter $(1),$(notdir $(FREE))),$(B)/free.a) $(if $(filter $(1),$(notdir $(CLI))),$(B)/cli.a) $(B)/core.a

$(B)/tests/unit/test_%: tests/unit/test_%.c $$(call unit_libs,$$*)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(UNIT_FLAGS) $(IQ_PRE) -iquote preload/cli -iquote tests/unit $(call said,flags) -o $@ $< \
		$(call unit_libs,$*) -Wl,-T,core/anew.ld $(call said,libs) -lcmocka -ldl -lm

tests: $(POSIX_BIN) $(UNIT_BIN) $(API_BIN) $(SLOW_BIN)

RUN	= B=$(B) tests/run
check:
	$(Q)$(RUN) --suite unit --suite posix --suite api $(T)
check-unit check-posix check-api check-apps check-slow: check-%:
	$(Q)$(RUN) --suite $* $(T)
check-loop:
	$(Q)$(RUN) --repeat $(or $(N),200) $(if $(SUITE),--suite $(SUITE)) $(T)
lint:
	$(Q)B=$(B) scripts/lint

.PHONY: tests check check-unit check-posix check-api check-apps check-slow check-loop lint
