# bench.mk -- programs of tests/bench and `make bench'
#
#   make bench                    every row, one line each
#   make bench T="switch echo"    these rows; `tests/bench/bench --help' lists them
#   make bench ASSERT=1           status 1 when a target is missed
#   make bench BIG=1              a million parked tasks instead of 100 000
#
# These programs know nothing of Weft: they are compiled as any user would, without our own flags.

BENCH		:= switch yield mutex condition create echo_threads echo_epoll load parked sleepers startup \
		   activation
BENCH_BIN	:= $(BENCH:%=$(B)/tests/bench/%)

$(B)/tests/bench/%: tests/bench/%.c tests/bench/bench.h
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 -g $(WARN) -D_GNU_SOURCE -pthread -o $@ $<

bench-programs: $(BENCH_BIN)

bench: $(B)/libweft.so $(BENCH_BIN)
	$(Q)B=$(B) tests/bench/bench $(if $(ASSERT),--assert) $(if $(BIG),--big) $(T)

.PHONY: bench bench-programs
