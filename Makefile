# aws: the server, its tests, its grader. `make help` lists what can be made.
#
# One file, not recursive. Everything that is made goes below build/, but for ./aws: the project itself looks like a
# submission. V=1 shows the commands. SAN=address,undefined makes a variant of its own, in a folder of its own.

CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))
PYTHON  := /usr/bin/python3
SAN     ?=
comma   := ,
VARIANT := $(if $(SAN),san-$(subst $(comma),-,$(SAN)),release)
OUT     := build/$(VARIANT)
Q       := $(if $(V),,@)

CPPFLAGS := -D_GNU_SOURCE -Iinclude
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla \
            -Wcast-qual -Wwrite-strings -Wswitch-enum
CFLAGS   := -std=c11 -g $(WARNINGS)
OPTIMISE := $(if $(SAN),-O1 -fno-omit-frame-pointer -fsanitize=$(SAN),-O2)
# With -flto the seam of sys.h costs nothing: its functions are inlined into their callers. What tests link is compiled
# without it, in a folder of its own: objects for both uses would take each build of the server twice as long.
LTO      := $(if $(SAN)$(findstring clang,$(CC)),,-flto=auto)
PLAIN    := $(OUT)$(if $(LTO),/plain)
LDLIBS   := -laio -lhttp_parser

CORE := $(filter-out main sys,$(basename $(notdir $(wildcard src/*.c))))

JOBS := $(shell nproc)

.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

# --- the server ------------------------------------------------------------------------------------------------------

.PHONY: all
all: ## build ./aws (the default), on all CPUs
	$(Q)$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS)) aws

aws: build/release/aws
	$(Q)cp $< $@

define compile
	$(Q)mkdir -p $(@D)
	$(if $(V),,@echo "  CC      $<")
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(OPTIMISE) $(LTO) -MMD -MP -c $< -o $@
endef

$(OUT)/%.o: src/%.c | deps-build
	$(compile)

ifneq ($(PLAIN),$(OUT))
$(PLAIN)/%.o: LTO :=
$(PLAIN)/%.o: src/%.c | deps-build
	$(compile)
endif

$(PLAIN)/libaws_core.a: $(CORE:%=$(PLAIN)/%.o)
	$(Q)rm -f $@
	$(Q)ar rcs $@ $^

$(OUT)/aws: $(OUT)/main.o $(OUT)/sys.o $(CORE:%=$(OUT)/%.o)
	$(if $(V),,@echo "  LD      $@")
	$(Q)$(CC) $(CFLAGS) $(OPTIMISE) $(LTO) $^ $(LDLIBS) -o $@

ifneq ($(OUT),build/release)
build/release/aws:
	$(Q)$(MAKE) --no-print-directory SAN= $@
endif

.PHONY: run
run: aws ## serve a small sample root on a free port of 127.0.0.1
	$(Q)mkdir -p build/sample/static build/sample/dynamic
	$(Q)echo '<h1>It serves.</h1>' > build/sample/static/index.html
	$(Q)echo 'Read by Linux AIO.' > build/sample/dynamic/hello.txt
	$(Q)echo 'serving build/sample: static/index.html and dynamic/hello.txt; Ctrl-C ends it'
	$(Q)./aws -a 127.0.0.1 -p 0 -r build/sample

# --- tests -----------------------------------------------------------------------------------------------------------

.PHONY: test
# Everything is compiled side by side; the suites that mostly wait for servers run side by side, too.
test: | deps-unit deps-functional deps-known ## all that must hold before a change is handed in; WHOLE=1: with all examples
	$(Q)rm -rf build/test-counts
	$(Q)$(MAKE) --no-print-directory -s -j$(JOBS) aws $(SHORT)/aws $(UNIT_TESTS:%=$(OUT)/unit/%)
	$(Q)$(MAKE) --no-print-directory unit seam
	$(Q)$(MAKE) --no-print-directory -j7 --output-sync=target LONG=$(if $(WHOLE),--long) functional \
	  $(patsubst %,checker-%,$(filter-out hostile,$(CHECKER_SUITES)))
	$(Q)cat build/test-counts/* | awk '{ passed += $$1; failed += $$2; skipped += $$3 } \
	  END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped; exit failed > 0 || passed == 0 }'

# Examples that `make test` leaves out: the suites by themselves have them.
LONG := --long

# Unit programs are linked with the fake kernel; test_sys alone with the real one.
UNIT_TESTS := $(basename $(notdir $(wildcard tests/unit/test_*.c)))
UNIT_HELPERS := $(filter-out $(UNIT_TESTS),$(basename $(notdir $(wildcard tests/unit/*.c))))

$(OUT)/unit/%.o: tests/unit/%.c | deps-unit
	$(Q)mkdir -p $(@D)
	$(if $(V),,@echo "  CC      $<")
	$(Q)$(CC) $(CPPFLAGS) -Itests/unit $(filter-out -Wpedantic,$(CFLAGS)) $(filter-out -O2,$(OPTIMISE)) -MMD -MP -c $< -o $@

$(OUT)/unit/test_sys: $(OUT)/unit/test_sys.o $(PLAIN)/sys.o
	$(Q)$(CC) $(CFLAGS) $(OPTIMISE) $^ $(LDLIBS) -lcriterion -o $@

$(OUT)/unit/%: $(OUT)/unit/%.o $(UNIT_HELPERS:%=$(OUT)/unit/%.o) $(PLAIN)/libaws_core.a
	$(Q)$(CC) $(CFLAGS) $(OPTIMISE) $^ $(LDLIBS) -lcriterion -o $@

.PHONY: unit
unit: $(UNIT_TESTS:%=$(OUT)/unit/%) ## unit tests of every module, over a scripted kernel
	$(Q)tests/unit/run $(OUT)/unit $(UNIT_TESTS)

# The same server in which every receive, send, sendfile and AIO result is cut short.
SHORT := build/short$(if $(SAN),-$(VARIANT))

$(SHORT)/short_sys.o: tests/functional/short_sys.c | deps-build
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(OPTIMISE) -MMD -MP -c $< -o $@

SHORT_CALLS := recv send sendfile io_getevents
$(SHORT)/aws: $(SHORT)/short_sys.o $(PLAIN)/main.o $(PLAIN)/sys.o $(PLAIN)/libaws_core.a
	$(if $(V),,@echo "  LD      $@")
	$(Q)$(CC) $(CFLAGS) $(OPTIMISE) $(SHORT_CALLS:%=-Wl,--wrap=sys_%) $^ $(LDLIBS) -o $@

.PHONY: functional
functional: $(OUT)/aws $(SHORT)/aws | deps-functional ## the running server, checked from outside; ARGS='-k name' for some
	$(Q)mkdir -p build/test-counts
	$(Q)PYTHONPATH=checker $(PYTHON) -m pytest -q -p no:cacheprovider tests/functional --aws=$(OUT)/aws --short-aws=$(SHORT)/aws \
	  --counts=build/test-counts/functional $(LONG) $(ARGS)

# Its gradings mostly wait for a server or a compiler: the parts run side by side. ARGS are for one run of pytest.
CHECKER_SUITES  := matrix known hostile cases exported museum others
CHECKER_matrix  := tests/checker/test_matrix.py
CHECKER_known   := tests/checker/test_known.py
CHECKER_hostile := tests/checker/test_hostile.py
CHECKER_exported := tests/checker/test_case_export.py
CHECKER_cases   := $(filter-out $(CHECKER_exported),$(wildcard tests/checker/test_case_*.py)) tests/checker/test_replay.py
CHECKER_museum  := $(addprefix tests/checker/test_,bugs.py written.py stories.py nginx.py)
CHECKER_others  := $(filter-out $(foreach suite,$(filter-out others,$(CHECKER_SUITES)),$(CHECKER_$(suite))), \
                   $(wildcard tests/checker/test_*.py))

.PHONY: checker-test
checker-test: ## the grader, proven on known submissions, good, bad and hostile; ARGS='-k name' for some
ifdef ARGS
	$(Q)$(MAKE) --no-print-directory checker-all CHECKER_all='tests/checker $(ARGS)'
else
	$(Q)$(MAKE) --no-print-directory -j3 --output-sync=target $(CHECKER_SUITES:%=checker-%)
endif

checker-%: | deps-functional deps-known
	$(Q)mkdir -p build/test-counts
	$(Q)PYTHONPATH=checker $(PYTHON) -m pytest -q -p no:cacheprovider $(CHECKER_$*) --counts=build/test-counts/checker-$* $(LONG)

.PHONY: hostile
hostile: checker-hostile ## hostile submissions: no point forged, no trace left, no neighbour harmed

.PHONY: known
known: | deps-functional deps-known ## grade every known submission and compare; KNOWN='name or kind' for some, SEED=n
	$(Q)PYTHONPATH=checker $(PYTHON) tests/checker/known.py $(KNOWN) $(if $(SEED),--seed $(SEED)) $(ARGS)

.PHONY: pages
pages: | deps-pages ## pages of failing submissions in a browser: light, dark, narrow, by keyboard, printed; PAGES=dir keeps them
	$(Q)PYTHONPATH=checker $(PYTHON) -m pytest -q -p no:cacheprovider tests/pages $(ARGS)

.PHONY: bugs
bugs: aws | deps-functional deps-known ## replay every case of fixtures/bugs, and those that gradings write; BUGS='D07 fifo', ROUNDS=20, SHRINK=1
	$(Q)PYTHONPATH=checker $(PYTHON) tests/checker/bugs.py $(BUGS) $(ARGS)
	$(Q)PYTHONPATH=checker $(PYTHON) tests/checker/written.py $(BUGS) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SHRINK),--shrink) $(ARGS)

.PHONY: exported
exported: aws | deps-functional deps-known ## run the cases that need no checker by Python alone; BUGS='D07 fifo' for some
	$(Q)PYTHONPATH=checker $(PYTHON) tests/checker/exported.py $(BUGS) $(ARGS)

.PHONY: nginx
nginx: | deps-functional deps-nginx ## replay the cases that need no fault on Debian's nginx; BUGS='D07 fifo' for some
	$(Q)PYTHONPATH=checker $(PYTHON) tests/checker/nginx.py $(BUGS) $(ARGS)

.PHONY: stories
stories: | deps-functional deps-known ## replay the twelve stories of the museum, and draw their pictures anew
	$(Q)PYTHONPATH=checker $(PYTHON) tests/checker/stories.py $(BUGS)

.PHONY: matrix
matrix: aws | deps-functional deps-known ## fault matrices of the known servers: what is red, and must be; KNOWN='good pool', SEED=n
	$(Q)PYTHONPATH=checker $(PYTHON) tests/checker/matrix.py $(KNOWN) $(if $(SEED),--seed $(SEED)) $(ARGS)

.PHONY: asan
asan: ## unit and functional tests under AddressSanitizer and UBSan
	$(Q)$(MAKE) --no-print-directory SAN=address,undefined unit functional

# What the core may import: the seam, the parser, and C library functions that make no system call of their own.
ALLOWED := sys_[a-z0-9_]*|http_parser_[a-z_]*|__assert_fail|_GLOBAL_OFFSET_TABLE_|mem[a-z]*|str[a-z]*|v?snprintf|malloc|calloc|realloc|free|gmtime_r|inet_pton|[hn]to[hn]s|getopt_long|opt(arg|ind)
.PHONY: seam
seam: | deps-build ## prove that the core makes no system call but through sys.h
	$(Q)mkdir -p build/seam && rm -f build/seam/*.o && cd build/seam && for f in $(CORE); do \
	  $(CC) -D_GNU_SOURCE -I../../include -std=c11 -O0 -fno-builtin -U_FORTIFY_SOURCE -c ../../src/$$f.c -o $$f.o || exit 1; done
	$(Q)nm -g --defined-only build/seam/*.o | awk 'NF == 3 { print $$3 }' | sort -u > build/seam/defined
	$(Q)nm -u build/seam/*.o | awk 'NF == 2 { print $$2 }' | sort -u > build/seam/wanted
	$(Q)if comm -13 build/seam/defined build/seam/wanted | grep -vxE '$(ALLOWED)'; then \
	  echo "seam: the core imports the above beside sys_*" >&2; exit 1; fi

.PHONY: coverage
coverage: | deps-unit deps-coverage ## lines and branches of src/ that the unit tests alone run
	$(Q)rm -rf build/coverage
	$(Q)$(MAKE) --no-print-directory OUT=build/coverage LTO= OPTIMISE='-O0 --coverage' unit
	$(Q)gcovr --root . --object-directory build/coverage --filter src/ --exclude src/main.c --print-summary \
	  --txt - --html-details build/coverage/index.html

# --- grading ---------------------------------------------------------------------------------------------------------

SUBMISSION ?= .
.PHONY: grade
grade: | deps-grade ## grade SUBMISSION=folder-or-archive (the project itself); ARGS='--json FILE' and more
	$(Q)$(PYTHON) checker/awscheck grade $(SUBMISSION) $(ARGS)

# --- care ------------------------------------------------------------------------------------------------------------

.PHONY: lint
lint: | deps-lint ## clang-tidy, clang's warnings and cppcheck for src/ and checker/box/; flake8 for Python
	$(Q)clang-tidy --quiet $(wildcard src/*.c checker/box/*.c) -- $(CPPFLAGS) -std=c11 $(WARNINGS)
	$(Q)cppcheck --quiet --std=c11 --enable=warning,performance,portability,style --inline-suppr --error-exitcode=1 \
	  --suppress=missingIncludeSystem --include=/usr/include/$$($(CC) -print-multiarch)/sys/queue.h -Iinclude src checker/box
	$(Q)$(PYTHON) -m flake8 --max-line-length=120 --extend-ignore=E203 checker/awskit checker/awscheck tests

.PHONY: format
format: | deps-lint ## lay out the C sources by .clang-format
	$(Q)clang-format -i $(wildcard src/*.c include/*.h tests/unit/*.[ch] tests/functional/*.c checker/box/*.[ch])

.PHONY: clean
clean: ## remove all that was made
	$(Q)rm -rf build aws

.PHONY: help
help: ## this list
	$(Q)awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# --- Debian packages, each installed by the target that needs it ---------------------------------------------------------

PACKAGES_build      := gcc libaio-dev libhttp-parser-dev
PACKAGES_unit       := $(PACKAGES_build) libcriterion-dev
PACKAGES_functional := $(PACKAGES_build) python3 python3-pytest python3-requests strace
PACKAGES_grade      := $(PACKAGES_build) python3 bubblewrap strace valgrind util-linux patch
PACKAGES_known      := $(PACKAGES_grade) g++ libxml2-utils
PACKAGES_pages      := $(PACKAGES_grade) python3-pytest chromium fonts-dejavu-core
PACKAGES_nginx      := nginx # Debian starts one at port 80 where there is an init system; `make nginx` starts its own
PACKAGES_coverage   := gcovr
PACKAGES_lint       := $(PACKAGES_build) clang-format clang-tidy cppcheck python3 flake8

# Ask dpkg, and apt-get only for what is missing: a machine that has all needs neither root nor a network. Where the
# headers are found nobody is asked: a sandbox has no package database.
HEADERS_FOUND = printf '\#include <libaio.h>\n\#include <http_parser.h>\n' | $(CC) -fsyntax-only -x c - 2> /dev/null
define install
	$(Q)[ $* != build ] || ! { $(HEADERS_FOUND); } || exit 0; \
	missing=$$(for p in $(PACKAGES_$*); do dpkg-query -W -f='$${db:Status-Status}' $$p 2>/dev/null | grep -qx installed || printf '%s ' $$p; done); \
	[ -z "$$missing" ] && exit 0; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo="sudo -n"; \
	[ -z "$$sudo" ] || command -v sudo > /dev/null || { echo "make: please install these Debian packages: $$missing" >&2; exit 1; }; \
	echo "  APT     $$missing"; \
	{ $$sudo apt-get update && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing; } \
	  > build/apt.log 2>&1 || { tail -n 3 build/apt.log >&2; echo "make: please install these Debian packages: $$missing" >&2; exit 1; }
endef

DEPS := $(patsubst %,deps-%,build unit functional grade known nginx pages coverage lint)
.PHONY: deps $(DEPS)
deps: $(DEPS) ## install every Debian package that any target needs

$(DEPS): deps-%: | build
	$(install)

build:
	$(Q)mkdir -p $@

-include $(wildcard build/*/*.d build/*/plain/*.d build/*/unit/*.d)
