# ipc_ring: single headers, so there is nothing to build but what shows and checks them.
#
#   make deps bench   install what is missing, build, measure this machine for a minute
#   make bench-full   measure everything: three quarters of an hour
#   make bench-bridge measure ipc_bridge beside bare libzmq: a minute
#   make deps-peers   install other queues to measure beside these, before make bench (Debian)
#   make deps-examples  install what examples/audio and examples/market need, JACK, libsndfile, libpcap, tshark,
#                     and wrk, to load examples/web (Debian)
#   make deps-report  install what the report needs: matplotlib
#   make report       build/report.html: what make bench measured as one page to read and to send
#   make results      keep what make bench measured, dated, in bench/results; make readme: README's figures of it
#   make deps check   install what is missing, run all tests; with ONLY='an expression' those whose lines match it
#   make test         what to run after each change: a part of the tests, under two minutes
#   make deps-cpus    install what the next needs (Debian); make check-cpus: builds for other processors,
#                     and runs tests by emulation. CPUS names some of them
#   make soak         the long tests: ten million waits, kills at random for three times ten minutes, 200 clients
#   make torture      every ring stopped and killed at every single instruction, and two at once (hours)
#   make fuzz         hostile peers of channels and rings, and segments before ipc_top, guided by coverage, FUZZ_SECONDS each (300)
#   make headers      the headers, of src/: run it after each change there, and commit both
#   make              the examples, the tools and the benchmark, in build/
#   make install      headers, tools, manual pages, and what pkg-config and CMake look for, to
#                     $(DESTDIR)$(PREFIX); make uninstall removes them
#   make deb          packages for Debian, in build/deb; make check-deb: tries them in a fresh Debian

CC = gcc
CXX = g++
CFLAGS = -O2
PREFIX = /usr/local

# Made of src/. ipc_ring.hpp is written by hand.
HEADERS = ipc_shm.h ipc_ring.h ipc_notify.h ipc_channel.h ipc_zmq.h
STRICT = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wcast-qual -Wundef -Werror
WARN = -Wall -Wextra -Werror
COMMIT = $(shell git describe --always --dirty 2>/dev/null || echo unknown)
# bench/README.md says what each file does.
BENCH = $(patsubst bench/%.c,%,$(filter-out bench/versions.c,$(wildcard bench/*.c))) $(patsubst bench/%.c,%,$(wildcard bench/cases/*.c))
BENCH_H = $(wildcard bench/*.h bench/*.def bench/kit/*.h bench/peers/*.h bench/peers/*.hpp)

# The peers of the benchmark whose packages are there: make deps-peers installs them.
has = $(shell printf '\043if !__has_include(<$(1)>)\n\043error\n\043endif\n' | \
    $(CXX) -E -x c++ - >/dev/null 2>&1 && echo $(2))
DPDK := $(shell pkg-config --cflags libdpdk 2>/dev/null)
ICEORYX := $(lastword $(wildcard /usr/include/iceoryx/v2.*))
PEERS := $(if $(DPDK),rte) $(call has,boost/lockfree/queue.hpp,boost) \
    $(call has,concurrentqueue/concurrentqueue.h,moodycamel) $(call has,jack/ringbuffer.h,jack) \
    $(call has,zmq.h,zmq ipc_zmq) $(call has,nng/nng.h,nng) \
    $(call has,readerwriterqueue/readerwriterqueue.h,readerwriter) \
    $(call has,oneapi/tbb/concurrent_queue.h,tbb) $(call has,urcu/wfcqueue.h,urcu) \
    $(if $(and $(ICEORYX),$(shell command -v iox-roudi)),iceoryx)
lib = $(if $(filter $(1),$(PEERS)),$(2))
PEER_LIBS = $(call lib,rte,-lrte_ring) $(call lib,jack,-ljack) $(call lib,zmq,-lzmq) $(call lib,tbb,-ltbb) \
    $(call lib,iceoryx,-liceoryx_posh -liceoryx_hoofs -liceoryx_platform) \
    $(call lib,nng,-lnng) $(call lib,boost moodycamel readerwriter tbb iceoryx,-lstdc++)

EXAMPLES = ipc_cat greet sum rpc todo pick news collect locks web audio_decoder audio_player \
	crew calls ticker loop gather

# examples/audio, where JACK and libsndfile are there: make deps-examples.
AUDIO := $(if $(shell pkg-config --libs jack sndfile 2>/dev/null),jack_record jack_play file_writer file_reader jack_ringbuffer)

# examples/market, where libpcap is there.
MARKET := $(if $(shell pkg-config --libs libpcap 2>/dev/null),generate feed strategy recorder)

# What is installed besides the headers. A tool's source is in tools or examples; it has a manual page
# made of its first comment and its usage. ipc_top needs jansson and ncurses, ipc_bridge ZeroMQ.
TOP := $(if $(call has,jansson.h,j),$(if $(call has,ncurses.h,n),ipc_top))
BRIDGE := $(call has,zmq.h,ipc_bridge)
TOOLS = ipc_cat ipc_rm $(TOP) $(BRIDGE)

all: programs build/ipc_bench
programs: $(EXAMPLES:%=build/%) $(AUDIO:%=build/%) $(MARKET:%=build/market/%) $(TOOLS:%=build/%)
	$(if $(TOP),,@echo 'note: no ipc_top, as ncurses or jansson is not here: make deps')
	$(if $(BRIDGE),,@echo 'note: no ipc_bridge, as ZeroMQ is not here: make deps')
	$(if $(AUDIO),,@echo 'note: no examples/audio, as JACK or libsndfile is not here: make deps-examples')
	$(if $(MARKET),,@echo 'note: no examples/market, as libpcap is not here: make deps-examples')

build/ipc_top: tools/ipc_top.c $(wildcard tools/top/*.c tools/top/*.h) tools/bridge/state.h $(HEADERS) | build
	$(CC) $(CFLAGS) $(WARN) -I. $(filter %.c,$^) -o $@ -ljansson -lncurses

# -O1 compiles in half the time of -O2, and libzmq takes the most when it runs.
build/ipc_bridge: tools/ipc_bridge.c $(wildcard tools/bridge/*.c tools/bridge/*.h) $(HEADERS) | build
	$(CC) $(CFLAGS) -O1 $(WARN) -I. $(filter %.c,$^) -o $@ -lzmq -lpthread -lrt

build/ipc_rm: tools/ipc_rm.c $(HEADERS) | build
	$(CC) $(CFLAGS) $(WARN) -I. $< -o $@ -lpthread -lrt

# What is installed is there before what needs it, also with -j.
ifneq ($(filter deps%,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif

deps:
	@sh .ci/deps

deps-peers:
	@sh .ci/deps-peers

deps-cpus:
	@sh .ci/deps-cpus

deps-examples:
	@sh .ci/deps-examples

deps-report:
	@sh .ci/deps-report

# What says the commit is compiled when that is another one.
build/commit: always | build
	@echo '$(COMMIT)' | cmp -s - $@ || echo '$(COMMIT)' >$@

build/ipc_bench: $(BENCH:%=build/bench/%.o) $(PEERS:%=build/bench/peers/%.o)
	$(CC) $(CFLAGS) $^ -o $@ -ljansson -lpthread -lrt -lm $(PEER_LIBS)

build/bridge_latency: bench/bridge/latency.c bench/histogram.c bench/statistics.c bench/histogram.h bench/statistics.h $(HEADERS) | build
	$(CC) $(CFLAGS) $(WARN) -I. $(filter %.c,$^) -o $@ -lzmq -lpthread -lrt -lm

build/bench/machine.o: build/commit
build/bench/machine.o: EXTRA = -DBENCH_FLAGS='"$(CFLAGS)"' -DBENCH_COMMIT='"$(COMMIT)"'
build/bench/peers/rte.o: EXTRA = $(DPDK:-I%=-isystem %)
build/bench/peers/iceoryx.o: EXTRA = -isystem $(ICEORYX)
build/bench/%.o: bench/%.c $(BENCH_H) $(HEADERS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(WARN) $(EXTRA) -I. -c $< -o $@

build/bench/%.o: bench/%.cc $(BENCH_H) $(HEADERS)
	@mkdir -p $(@D)
	$(CXX) -std=gnu++17 $(CFLAGS) $(WARN) -Wno-missing-field-initializers $(EXTRA) -I. -c $< -o $@

$(EXAMPLES:%=build/%): build/%: examples/%.c $(HEADERS) | build
	$(CC) $(CFLAGS) $(WARN) -I. $< -o $@ -lpthread -lrt

# Linked with -z now: the first call of a function by a callback does not search for it.
$(AUDIO:%=build/%): build/%: examples/audio/%.c $(wildcard examples/audio/*.h) $(HEADERS) | build
	$(CC) $(CFLAGS) $(WARN) -I. $< -o $@ -Wl,-z,now $$(pkg-config --cflags --libs jack sndfile) -lpthread -lrt

build/market/strategy: bench/histogram.c bench/histogram.h
$(MARKET:%=build/market/%): build/market/%: examples/market/%.c $(wildcard examples/market/*.h) $(HEADERS) | build
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(WARN) -I. $(filter %.c,$^) -o $@ $$(pkg-config --cflags --libs libpcap) -lpthread -lrt -lm

# The new header takes the place of the old one only when it is whole, and another.
headers:
	@for h in $(HEADERS); do \
	    tools/amalgamate src/$$h >$$h.new && { cmp -s $$h.new $$h && rm $$h.new || mv $$h.new $$h; } || exit; \
	done

bench: build/ipc_bench
	@build/ipc_bench --json build/bench.json
	$(paged)

bench-full: build/ipc_bench
	@build/ipc_bench --full --json build/bench.json
	$(paged)

bench-bridge: build/bridge_latency build/ipc_bridge build/ipc_bench
	build/ipc_bench --quick --only '^limit_one_line/pingpong' | grep '^cores'
	build/bridge_latency build/ipc_bridge

# The first Python that has matplotlib.
PYTHON = $(shell for p in python3 /usr/bin/python3; do $$p -c 'import matplotlib' 2>/dev/null && echo $$p && break; done)
plotter = @test -n '$(PYTHON)' || { echo "no Python 3 with matplotlib here: make deps-report" >&2; exit 1; }
measured = @test -e build/bench.json || { echo "nothing is measured yet: make bench" >&2; exit 1; }

# The page, where there is a plotter.
paged = @[ -z '$(PYTHON)' ] || $(PYTHON) bench/report page build/bench.json build/report.html

report:
	$(plotter)
	$(measured)
	@$(PYTHON) bench/report page build/bench.json build/report.html

results:
	$(plotter)
	$(measured)
	@$(PYTHON) bench/report keep build/bench.json bench/results

readme:
	$(plotter)
	@$(PYTHON) bench/report readme bench/results README.md

check:
	@$(MAKE) -j$$(nproc) $(if $(ONLY),$(if $(findstring bench,$(ONLY)),all,programs),all)
	@$(TESTS)

test:
	@$(TESTS) quick

TESTS = CC='$(CC)' CXX='$(CXX)' STRICT='$(STRICT)' WARN='$(WARN)' FUZZER='$(FUZZER)' PYTHON='$(PYTHON)' sh tests/run

CPUS = aarch64 aarch64-64k riscv64 s390x ppc64el armhf i386 musl
check-cpus: | build
	@CPUS='$(CPUS)' $(TESTS) cpus

soak: $(AUDIO:%=build/%) $(MARKET:%=build/market/%) $(BRIDGE:%=build/%) build/web | build
	$(CC) -O1 -g $(WARN) -I. tests/test_notify_thorough.c -o build/test_notify_thorough -lcmocka -lpthread
	IPC_NOTIFY_WAITS=10000000 build/test_notify_thorough
	$(CC) -O1 -g $(WARN) -I. tests/test_notify.c -o build/test_notify -lcmocka -lpthread
	IPC_NOTIFY_WAITS=10000000 build/test_notify no_wake_is_missed
	$(CC) -O1 -g $(WARN) -DINTERLEAVE_EVERY=1u -I. tests/test_shm_races.c -o build/test_shm_races -lcmocka -lpthread
	build/test_shm_races 'of_two_creators*'
	$(CC) -O1 -g $(WARN) -I. tests/test_mpmc.c -o build/test_mpmc -lcmocka
	IPC_SOAK_SECONDS=600 build/test_mpmc 'processes*'
	$(CC) -O1 -g $(WARN) -I. tests/test_progress.c -o build/test_progress -lcmocka
	IPC_PROGRESS_STEPS=100000000 build/test_progress
	$(CC) -O1 -g $(WARN) -I. tests/test_progress_call.c -o build/test_progress_call -lcmocka
	IPC_PROGRESS_STEPS=100000000 build/test_progress_call
	$(CC) -O1 -g $(WARN) -I. tests/test_progress_broadcast.c -o build/test_progress_broadcast -lcmocka
	IPC_PROGRESS_STEPS=100000000 build/test_progress_broadcast
	$(CC) -O1 -g $(WARN) -I. tests/test_progress_records.c -o build/test_progress_records -lcmocka
	IPC_PROGRESS_STEPS=100000000 build/test_progress_records
	$(CC) -O1 -g $(WARN) -I. tests/test_workers.c -o build/test_workers -lcmocka
	IPC_SOAK_SECONDS=600 build/test_workers 'workers*'
	$(CC) -O1 -g $(WARN) -I. tests/test_call.c -o build/test_call -lcmocka
	IPC_SOAK_SECONDS=600 build/test_call 'whoever*'
	$(CC) -O1 -g $(WARN) -I. tests/crowd.c -o build/crowd -lcmocka
	build/crowd
	sh tests/audio build 60
	sh tests/web 60
	IPC_MARKET_MESSAGES=1000000 sh tests/market build/market capture
	for i in 1 2 3 4 5 6 7 8 9 10; do sh tests/market build/market ring_kills socket_kills lossy gaps group || exit; done
	$(if $(BRIDGE),$(CC) -O1 -g $(WARN) -I. tests/test_bridge.c -o build/test_bridge -lcmocka -lpthread -lrt)
	$(if $(BRIDGE),IPC_BRIDGE_MESSAGES=10000000 build/test_bridge build/ipc_bridge)

torture: | build
	$(CC) -O1 -g $(WARN) -I. tests/torture.c -o build/torture
	build/torture
	$(CC) -O1 -g $(WARN) -DBODY=0 -I. tests/torture.c -o build/torture_short
	build/torture_short 1 mp
	$(CC) -O1 -g $(WARN) -I. tests/torture_call.c -o build/torture_call
	build/torture_call
	$(CC) -O1 -g $(WARN) -I. tests/torture_two.c -o build/torture_two
	build/torture_two
	$(CC) -O1 -g $(WARN) -DBODY=0 -I. tests/torture_two.c -o build/torture_two_short
	build/torture_two_short 16 1 mp
	$(CC) -O1 -g $(WARN) -I. tests/torture_call_two.c -o build/torture_call_two
	build/torture_call_two

FUZZ = channel ring $(if $(TOP),top)
FUZZ_SECONDS = 300
# Of a handle that was refused, NULL + 0 is no fault.
FUZZER = -fsanitize=fuzzer,address,undefined -fno-sanitize=pointer-overflow -fno-sanitize-recover=all

# What was found to be worth keeping is in build/corpus, to go on from; an input that fails is left
# in build, to be given to build/fuzz_* again.
fuzz: $(FUZZ:%=build/fuzz_%)
	for f in $(FUZZ); do \
	    mkdir -p build/seeds/$$f build/corpus/$$f && FUZZ_SEEDS=build/seeds/$$f build/fuzz_$$f && \
	    build/fuzz_$$f -max_total_time=$(FUZZ_SECONDS) -timeout=20 -max_len=1000 -artifact_prefix=build/ \
	        build/corpus/$$f build/seeds/$$f || exit; \
	done

build/fuzz_%: tests/fuzz/%.c tests/fuzz/fuzz.h $(wildcard tools/top/*) tools/bridge/state.h $(HEADERS) | build
	clang -O1 -g $(WARN) $(FUZZER) -I. $< -o $@ $(if $(findstring top,$@),-ljansson)

# What is installed, below the prefix.
VERSION = $(shell sed -n 's/^\#define IPC_RING_VERSION "\(.*\)"/\1/p' src/common/version.h)
filled = sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' packaging/$(1) >build/stage/$(2)/$(1)

stage: $(TOOLS:%=build/%) build/man/made
	@rm -rf build/stage
	@install -d build/stage/bin build/stage/include build/stage/share/pkgconfig build/stage/share/cmake/ipc_ring
	@install -m 644 $(HEADERS) ipc_ring.hpp build/stage/include
	@install $(TOOLS:%=build/%) build/stage/bin
	@$(call filled,ipc_ring.pc,share/pkgconfig)
	@$(call filled,ipc_ring-config.cmake,share/cmake/ipc_ring)
	@$(call filled,ipc_ring-config-version.cmake,share/cmake/ipc_ring)
	@if [ -s build/man/made ]; then cp -r build/man build/stage/share && rm build/stage/share/man/made; fi
	@cd build/stage && find . -type f >../stage.list

# Empty where there is no Python 3 to make the pages with.
build/man/made: tools/manpages $(wildcard src/*.h src/*/*.h) $(wildcard tools/*.c tools/*/*.c examples/*.c)
	@rm -rf build/man && mkdir -p build/man && : >$@
	@if command -v python3 >/dev/null; then tools/manpages build/man '$(CC)' $(TOOLS) && echo made >$@; \
	else echo 'note: no manual pages, as there is no python3'; fi

install: stage
	install -d $(DESTDIR)$(PREFIX)
	tar -C build/stage -cf - -T build/stage.list | tar -C $(DESTDIR)$(PREFIX) -xpof -

uninstall: stage
	cd $(DESTDIR)$(PREFIX) && xargs rm -f <$(CURDIR)/build/stage.list
	[ ! -d $(DESTDIR)$(PREFIX)/share/cmake/ipc_ring ] || rmdir $(DESTDIR)$(PREFIX)/share/cmake/ipc_ring

# From a copy, so that nothing is built in this folder.
deb:
	@rm -rf build/deb && mkdir -p build/deb/ipc-ring
	tar -cf - --exclude=./build --exclude=./.git . | tar -C build/deb/ipc-ring -xof -
	cd build/deb/ipc-ring && dpkg-buildpackage -b -us -uc
	rm -rf build/deb/ipc-ring
	lintian --fail-on error build/deb/*.changes

check-deb: deb
	sh tests/deb

clean:
	rm -rf build

build:
	mkdir -p build

.PHONY: always all programs deps deps-examples deps-peers deps-report deps-cpus headers bench bench-full bench-bridge report results readme check check-cpus test soak torture fuzz stage install uninstall deb check-deb clean
