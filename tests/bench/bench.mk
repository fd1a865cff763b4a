# bench.mk -- programs of tests/bench and `make bench'
#
#   make bench                    every row, one line each
#   make bench T="switch echo"    these rows; `tests/bench/bench --help' lists them
#   make bench B=echo             a row as well, where no build stands in a directory of that name
#   make bench T=peers            the systems nearest to Weft that are installed, native beside it
#   make bench ASSERT=1           status 1 when a target is missed
#   make bench BIG=1              a million parked tasks instead of 100 000, and with larger stacks
#   make bench V=1                with the command line of each comparison
#   make bench-against REV=COMMIT compare Weft as it was there, built aside, with this one; rows by T and B as above
#
# These programs know nothing of Weft, but for spawn: they are compiled as any user would, without our own flags.

BENCH		:= switch yield mutex condition create spawn echo_threads echo_epoll parked sleepers startup activation
BENCH_BIN	:= $(BENCH:%=$(B)/tests/bench/%)

$(B)/tests/bench/%: tests/bench/%.c tests/bench/bench.h
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 -g $(WARN) -D_GNU_SOURCE -pthread -o $@ $< $(LIBS)

$(B)/tests/bench/spawn: LIBS := -Iinclude -L$(B) -lweft -Wl,-rpath,'$$ORIGIN/../..'
$(B)/tests/bench/spawn: $(B)/libweft.so

# One that only scripts/compare runs, since it needs a library.
$(B)/tests/bench/http_threads: LIBS := -lmicrohttpd

bench-programs: $(BENCH_BIN)

# The peers: what each is built with is looked for when `bench' is made, and what is not there is not built.
PEERS		:= tests/bench/peers
fiber_libs	:= -lboost_fiber -lboost_context
ifneq ($(filter bench bench-peers,$(MAKECMDGOALS)),)
PEERS_HERE	:= $(shell exec 2>/dev/null; pkg-config --exists st && echo st; pkg-config --exists libuv && echo uv; \
		   echo 'int main() { boost::fibers::fiber([] {}).join(); }' | $(CXX) -std=c++17 -include boost/fiber/all.hpp \
			-o /dev/null -x c++ - $(fiber_libs) && echo fiber; \
		   command -v go >/dev/null && echo go)
endif
PEER_SOURCES	:= $(filter-out %.py,$(foreach peer,$(PEERS_HERE),$(wildcard $(PEERS)/$(peer)_*)))
PEER_BIN	:= $(addprefix $(B)/,$(basename $(PEER_SOURCES)))
PEER_FLAGS	= -O2 -g -Wall -Wextra -Wno-unused-parameter $(if $(WERROR),-Werror) -D_GNU_SOURCE -pthread -iquote tests/bench

$(B)/$(PEERS)/st_%: peer_libs = $$(pkg-config --cflags --libs st)
$(B)/$(PEERS)/uv_%: peer_libs = $$(pkg-config --cflags --libs libuv)
$(B)/$(PEERS)/%: $(PEERS)/%.c tests/bench/bench.h
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(PEER_FLAGS) -o $@ $< $(peer_libs)
$(B)/$(PEERS)/%: $(PEERS)/%.cc tests/bench/bench.h
	$(call say,CXX,$<)
	@mkdir -p $(@D)
	$(Q)$(CXX) -std=c++17 $(PEER_FLAGS) -o $@ $< $(fiber_libs)
$(B)/$(PEERS)/%: $(PEERS)/%.go
	$(call say,GO,$<)
	@mkdir -p $(@D)
	$(Q)GOCACHE=$(abspath $(B))/go GO111MODULE=off CGO_ENABLED=0 go build -o $@ $<

bench-peers: $(PEER_BIN)

bench bench-against: all $(BENCH_BIN)
bench: $(PEER_BIN)
bench bench-against:
	$(Q)B=$(B) tests/bench/bench $(if $(ASSERT),--assert) $(if $(BIG),--big) $(if $(V),--show) \
		$(if $(filter %-against,$@),--against '$(REV)') $(T)

.PHONY: bench bench-against bench-programs bench-peers
