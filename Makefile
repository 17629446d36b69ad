# Millrace. One Makefile, no recursion.
#
#   make run     install what is missing, build, start everything, run one image job
#   make test    everything that is checked: units, whole-system tests, once more under ASan and UBSan
#   make help    the other targets
#
# MODE picks the flavour and VIPS the image library; each pair has its own tree under build/.
MODE ?= debug
VIPS ?= npm
ifeq ($(origin CC),default)
CC := gcc
endif
VARIANT := $(MODE)$(if $(filter system,$(VIPS)),-sysvips)$(if $(findstring clang,$(CC)),-clang)
B       := build/$(VARIANT)
VERSION := $(shell cat VERSION)

PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
LIBEXECDIR ?= $(PREFIX)/libexec/millrace
UNITDIR    ?= $(PREFIX)/lib/systemd/system
DOCDIR     ?= $(PREFIX)/share/doc/millrace
MANDIR     ?= $(PREFIX)/share/man

# --- libraries -------------------------------------------------------------------------------
# pkg-config tells what this Debian calls things; nothing here names a version.
pkg      = $(shell pkg-config $(1) $(2) 2>/dev/null)
MSGPACK := $(shell pkg-config --exists msgpack-c 2>/dev/null && echo msgpack-c || echo msgpack)
BASE_PKGS   := libuv hiredis $(MSGPACK) jansson libcrypto
API_PKGS    := $(BASE_PKGS) libpq
WORKER_PKGS := $(BASE_PKGS) libpq libcurl libssl
RENDER_PKGS := $(MSGPACK) libseccomp libcrypto
TEST_PKGS   := cmocka

# llhttp: the system's library where there is one (Debian 13), else Debian 12's sources, built strict.
ifeq ($(shell pkg-config --exists libllhttp 2>/dev/null && echo yes),yes)
LLHTTP_CFLAGS := $(call pkg,--cflags,libllhttp)
LLHTTP_LIBS   := $(call pkg,--libs,libllhttp)
LLHTTP_OBJ    :=
else
LLHTTP_SRC    := /usr/share/llhttp
LLHTTP_CFLAGS := -isystem /usr/share/include/llhttp -DLLHTTP_STRICT_MODE=1
LLHTTP_LIBS   :=
LLHTTP_OBJ    := $(patsubst %,$(B)/llhttp/%.o,api http llhttp)
endif

# libvips: npm's prebuilt one (pinned by package-lock.json), or Debian's with VIPS=system.
NPM_ARCH  := $(if $(filter aarch64,$(shell uname -m)),arm64,x64)
ifeq ($(VIPS),system)
VIPS_CFLAGS := $(patsubst -I%,-isystem %,$(call pkg,--cflags,vips))
VIPS_LIBS   := $(call pkg,--libs,vips)
VIPS_SO     :=
else
VIPS_DIR    := node_modules/@img/sharp-libvips-linux-$(NPM_ARCH)/lib
VIPS_DEV    := node_modules/@img/sharp-libvips-dev/include
VIPS_SO     := $(wildcard $(VIPS_DIR)/libvips-cpp.so.*)
VIPS_CFLAGS := -isystem $(VIPS_DEV) -isystem $(VIPS_DEV)/glib-2.0 -isystem $(VIPS_DIR)/glib-2.0/include
VIPS_LIBS   := $(B)/$(notdir $(VIPS_SO)) -Wl,-rpath,'$$ORIGIN'
endif

# --- compiler --------------------------------------------------------------------------------
WARN := -Wall -Wextra -Werror -Wshadow -Wpointer-arith -Wwrite-strings -Wstrict-prototypes \
        -Wmissing-prototypes -Wold-style-definition -Wundef -Wvla -Wcast-qual -Wformat=2 \
        -Wswitch-enum -Wconversion -Wno-sign-conversion -fno-common
# snprintf cuts on purpose wherever its result is not looked at; what gcc guesses there changes with each version.
WARN += $(if $(findstring clang,$(CC)),,-Wno-format-truncation)
HARDEN := -fstack-protector-strong -fstack-clash-protection $(if $(filter x86_64,$(shell uname -m)),-fcf-protection)
CFLAGS_debug   := -O1 -g3 -fno-omit-frame-pointer -DMILLRACE_FAILPOINTS=1
CFLAGS_release := -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 $(HARDEN)
CFLAGS_asan    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all -DMILLRACE_FAILPOINTS=1
CFLAGS_tsan    := -O1 -g -fsanitize=thread -DMILLRACE_FAILPOINTS=1
LDFLAGS_release := -Wl,-z,relro,-z,now -pie
CPP_ALL  := -I. -I$(B)/gen -DMILLRACE_VERSION_NUMBER=$(VERSION)
CSTD     := -std=gnu11 -D_GNU_SOURCE -fPIE
CC_ALL    = $(CSTD) $(WARN) $(CFLAGS_$(MODE)) $(CPP_ALL) $(PKG_CFLAGS) $(CPPFLAGS) $(CFLAGS)
PKG_CFLAGS := $(patsubst -I%,-isystem %,$(filter-out -I/usr/include,$(call pkg,--cflags,$(API_PKGS) libcurl libssl libseccomp))) $(LLHTTP_CFLAGS)
LINK      = $(CC) $(CFLAGS_$(MODE)) $(LDFLAGS_$(MODE)) $(LDFLAGS)

# --- what there is ---------------------------------------------------------------------------
SHARED_SRC := $(wildcard shared/*.c)
QUEUE_SRC  := $(wildcard queue/*.c queue/spec/*.c)
API_SRC    := $(filter-out api/main.c,$(wildcard api/*.c api/endpoints/*.c))
WORKER_SRC := $(filter-out worker/main.c,$(wildcard worker/*.c worker/handlers/*.c worker/notify/*.c worker/render/*.c))
RENDER_SRC := worker/render/wire.c worker/render/wire_info.c $(filter-out worker/render/child/main.c,$(wildcard worker/render/child/*.c))
CLI_SRC    := $(filter-out cli/main.c,$(wildcard cli/*.c))
MAIN_SRC   := $(wildcard api/main.c worker/main.c worker/render/child/main.c cli/main.c)
ALL_SRC    := $(sort $(SHARED_SRC) $(QUEUE_SRC) $(API_SRC) $(WORKER_SRC) $(RENDER_SRC) $(CLI_SRC) $(MAIN_SRC))
UNIT_SRC   := $(wildcard tests/unit/test_*.c)
UNIT_BIN   := $(UNIT_SRC:%.c=$(B)/%)
UNIT_HELP  := $(filter-out $(UNIT_SRC),$(wildcard tests/unit/*.c))
OBJ        := $(ALL_SRC:%.c=$(B)/%.o)
ALL_C      := $(shell find shared queue api worker cli tests bench -name node_modules -prune -o -name '*.[ch]' -print 2>/dev/null | sort)

LIB_SHARED := $(B)/libshared.a
LIB_QUEUE  := $(B)/libqueue.a
LIB_API    := $(B)/libapi.a
LIB_WORKER := $(B)/libworker.a
LIB_RENDER := $(B)/librender.a
LIB_CLI    := $(B)/libcli.a
PROGRAMS   := $(B)/millrace-api $(B)/millrace-worker $(B)/millrace-render $(B)/millrace

.PHONY: all programs help deps deps-test deps-lint run demo unit unit-programs test chaos model lint layers fuzz fuzz-programs bench bench-images bench-programs docs install clean
.DELETE_ON_ERROR:
.SECONDARY:

all: programs

help:
	@sed -n '3,6p' Makefile | sed 's/^# *//'
	@echo 'make all MODE=release|debug|asan|tsan [VIPS=system] [CC=clang]   programs in build/$$MODE'
	@echo 'make unit      unit tests only            make lint   layers, format, clang-tidy, banned calls'
	@echo 'make demo      like run, ends by itself   make docs   regenerate what is generated'
	@echo 'make model DEPTH=2  every interleaving of the scripts in small worlds, with that many faults'
	@echo 'make chaos MINUTES=1 [SEED=n]             random faults under load, and the audit'
	@echo 'make bench [QUICK=1] [ONLY=enqueue,drain]  beside BullMQ, Sidekiq, Celery, nginx; see bench/README.md'
	@echo 'make gallery [IMAGE=file]                 every image operation, before and after'
	@echo 'make fuzz SECONDS=60 [FUZZ=name]          each fuzz target for that long'
	@echo 'make install   with DESTDIR and PREFIX    make clean  remove build/'

# --- generated sources -----------------------------------------------------------------------
# A text file becomes a C array, so that the programs are whole without files beside them.
$(B)/gen/%.inc: %
	@mkdir -p $(@D)
	@{ od -An -v -tx1 $< | sed 's/ \(..\)/0x\1,/g'; echo 0x00; } > $@
LUA_INC := $(patsubst %,$(B)/gen/%.inc,$(wildcard queue/lua/*.lua))
SQL_INC := $(patsubst %,$(B)/gen/%.inc,$(wildcard queue/sql/*.sql))
$(QUEUE_SRC:%.c=$(B)/%.o): | $(LUA_INC) $(SQL_INC)

# --- compile ---------------------------------------------------------------------------------
# V=1 shows the commands.
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-4s %s\n' $(1) $(2))
$(B)/%.o: %.c Makefile VERSION
	@mkdir -p $(@D)
	$(call say,cc,$<)
	$(Q)$(CC) $(CC_ALL) -MMD -MP -c $< -o $@

$(B)/worker/render/child/%.o: PKG_CFLAGS += $(VIPS_CFLAGS)

$(B)/llhttp/%.o: $(LLHTTP_SRC)/%.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) -O2 -g -fPIE -w $(LLHTTP_CFLAGS) -c $< -o $@

define archive
$(1): $(patsubst %.c,$(B)/%.o,$(2))
	@rm -f $$@
	@ar rcsD $$@ $$^
endef
$(eval $(call archive,$(LIB_SHARED),$(SHARED_SRC)))
$(eval $(call archive,$(LIB_QUEUE),$(QUEUE_SRC)))
$(eval $(call archive,$(LIB_API),$(API_SRC)))
$(eval $(call archive,$(LIB_WORKER),$(WORKER_SRC)))
$(eval $(call archive,$(LIB_RENDER),$(RENDER_SRC)))
$(eval $(call archive,$(LIB_CLI),$(CLI_SRC)))

$(B)/libvips-cpp.so.%: $(VIPS_DIR)/libvips-cpp.so.%
	@mkdir -p $(@D)
	$(Q)cp $< $@

API_LIBS    := $(LLHTTP_LIBS) $(call pkg,--libs,$(API_PKGS))
WORKER_LIBS := $(call pkg,--libs,$(WORKER_PKGS))
RENDER_LIBS := $(VIPS_LIBS) $(call pkg,--libs,$(RENDER_PKGS)) -lm

$(B)/millrace-api: $(B)/api/main.o $(LIB_API) $(LIB_QUEUE) $(LIB_SHARED) $(LLHTTP_OBJ)
	$(call say,link,$@)
	$(Q)$(LINK) $^ $(API_LIBS) -o $@
$(B)/millrace-worker: $(B)/worker/main.o $(LIB_WORKER) $(LIB_QUEUE) $(LIB_SHARED)
	$(call say,link,$@)
	$(Q)$(LINK) $^ $(WORKER_LIBS) -o $@
$(B)/millrace-render: $(B)/worker/render/child/main.o $(LIB_RENDER) $(LIB_QUEUE) $(LIB_SHARED) $(addprefix $(B)/,$(notdir $(VIPS_SO)))
	$(call say,link,$@)
	$(Q)$(LINK) $(filter-out %.so.%,$^) $(RENDER_LIBS) -o $@
$(B)/millrace: $(B)/cli/main.o $(LIB_CLI) $(LIB_QUEUE) $(LIB_SHARED)
	$(call say,link,$@)
	$(Q)$(LINK) $^ $(WORKER_LIBS) -o $@

# Makes a photograph-like picture; used by run, the tests and the benchmark.
$(B)/bench/%.o: PKG_CFLAGS += $(VIPS_CFLAGS)
$(B)/picture $(B)/bare_loop: $(B)/%: $(B)/bench/%.o $(addprefix $(B)/,$(notdir $(VIPS_SO)))
	$(call say,link,$@)
	$(Q)$(LINK) $(filter-out %.so.%,$^) $(VIPS_LIBS) -lm -o $@

# --- run -------------------------------------------------------------------------------------
deps:
	@scripts/deps run
# A second make, because what pkg-config says is known only once the libraries are installed.
run demo: deps
	@$(MAKE) --no-print-directory -j$$(nproc) -s MODE=release programs
	@scripts/run --build build/release$(if $(filter system,$(VIPS)),-sysvips) $(if $(IMAGE),--image $(IMAGE)) $(if $(filter demo,$@),--once)
programs: $(PROGRAMS) $(B)/picture

# --- tests -----------------------------------------------------------------------------------
# Unit tests named test_render_* link libvips; the others link everything else.
UNIT_LIBS := $(LIB_API) $(LIB_WORKER) $(LIB_CLI) $(LIB_QUEUE) $(LIB_SHARED)
UNIT_OBJ  := $(UNIT_HELP:%.c=$(B)/%.o)
$(B)/tests/unit/test_render_%: $(B)/tests/unit/test_render_%.o $(UNIT_OBJ) $(LIB_RENDER) $(LIB_QUEUE) $(LIB_SHARED) $(addprefix $(B)/,$(notdir $(VIPS_SO)))
	$(call say,link,$@)
	$(Q)$(LINK) $(filter-out %.so.%,$^) $(if $(VIPS_SO),$(B)/$(notdir $(VIPS_SO)) -Wl$(comma)-rpath$(comma)'$$ORIGIN/../..',$(VIPS_LIBS)) $(call pkg,--libs,$(RENDER_PKGS) $(TEST_PKGS)) -lm -o $@
$(B)/tests/unit/test_%: $(B)/tests/unit/test_%.o $(UNIT_OBJ) $(UNIT_LIBS) $(LLHTTP_OBJ)
	$(call say,link,$@)
	$(Q)$(LINK) $(filter-out %.a,$^) -Wl,--start-group $(UNIT_LIBS) -Wl,--end-group $(LLHTTP_LIBS) $(call pkg,--libs,$(WORKER_PKGS) $(TEST_PKGS)) -o $@
$(B)/tests/unit/test_render_%.o: PKG_CFLAGS += $(VIPS_CFLAGS)
comma := ,

unit-programs: $(UNIT_BIN)
unit: unit-programs programs
	@scripts/run-units $(UNIT_BIN)

# Everything: units and whole-system tests, in debug and once more under ASan and UBSan.
test: deps-test
	@scripts/test $(if $(MODES),--modes $(MODES)) $(ARGS)
# Deeper than `make test` looks: as many faults as DEPTH says.
DEPTH ?= 1
model: deps-test
	@/usr/bin/python3 -B tests/model/explore.py --depth $(DEPTH)
deps-test deps-lint:
	@scripts/deps $(patsubst deps-%,%,$@)

# Random faults under load for that long; SEED=n repeats what a run said it had done.
MINUTES ?= 1
chaos: deps-test
	@$(MAKE) --no-print-directory -j$$(nproc) -s programs
	@scripts/chaos --minutes $(MINUTES) --build $(B) $(if $(SEED),--seed $(SEED))

# --- lint ------------------------------------------------------------------------------------
# Includes are written from the root, so the layering can be read and checked.
layers:
	@! grep -rnE '#include "(queue|api|worker|cli)/' shared
	@! grep -rnE '#include "(api|worker|cli)/' queue
	@! grep -rnE '#include "(worker|cli)/' api
	@! grep -rnE '#include "(api|cli)/' worker
	@! grep -rnE '#include "(api|worker)/' cli

compile_commands.json: Makefile
	@{ echo '['; sep=; for f in $(ALL_SRC) $(UNIT_SRC) $(UNIT_HELP); do \
	  printf '%s{"directory":"%s","file":"%s","command":"$(CC) $(filter-out -Wno-format-truncation,$(CC_ALL)) $(VIPS_CFLAGS) -c %s"}\n' "$$sep" "$(CURDIR)" $$f $$f; sep=,; done; echo ']'; } > $@

BANNED := \b(strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|gets|localtime|gmtime|sleep|usleep|system|popen|alloca)\(
lint: layers compile_commands.json $(LUA_INC) $(SQL_INC)
	@! grep -nP '$(BANNED)' $(filter-out tests/%,$(ALL_C))
	@! grep -rnE '"mr:' --include=*.c --include=*.h shared api worker cli
	@clang-format --dry-run -Werror $(ALL_C)
	@printf '%s\n' $(ALL_SRC) | xargs -P $$(nproc) -n 4 clang-tidy -p . --quiet 2>/dev/null

# --- fuzz ------------------------------------------------------------------------------------
# make fuzz SECONDS=60 [FUZZ=json]: each target for that long, from the seeds in tests/fuzz/corpus.
# New inputs stay in the build tree; one that crashes is left there too, and its name printed.
SECONDS ?= 60
CFLAGS_fuzz := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all
FUZZ_ALL := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ     ?= $(FUZZ_ALL)
fuzz:
	@$(MAKE) --no-print-directory -j$$(nproc) CC=clang MODE=fuzz fuzz-programs
	@scripts/fuzz build/fuzz-clang $(SECONDS) $(FUZZ)
fuzz-programs: $(FUZZ_ALL:%=$(B)/tests/fuzz/fuzz_%)
$(B)/tests/fuzz/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(UNIT_LIBS) $(LIB_RENDER) $(LLHTTP_OBJ) $(addprefix $(B)/,$(notdir $(VIPS_SO)))
	$(call say,link,$@)
	$(Q)$(LINK) -fsanitize=fuzzer $(filter-out %.a %.so.%,$^) -Wl,--start-group $(UNIT_LIBS) $(LIB_RENDER) -Wl,--end-group $(if $(VIPS_SO),$(B)/$(notdir $(VIPS_SO)) -Wl$(comma)-rpath$(comma)'$$ORIGIN/../..',$(VIPS_LIBS)) $(LLHTTP_LIBS) $(call pkg,--libs,$(WORKER_PKGS) $(RENDER_PKGS)) -lm -o $@

# --- bench -----------------------------------------------------------------------------------
# make bench [QUICK=1] [ONLY=enqueue,drain]: Millrace beside its peers; bench/README.md.
bench:
	@scripts/deps bench
	@$(MAKE) --no-print-directory -j$$(nproc) -s MODE=release programs bench-programs
	@/usr/bin/python3 bench/run $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))
bench-images:
	@$(MAKE) --no-print-directory bench ONLY=images,formats
bench-programs: $(B)/bare_loop

# --- gallery ---------------------------------------------------------------------------------
# make gallery [IMAGE=photo.jpg]: every image operation before and after, as one HTML page.
.PHONY: gallery
gallery: deps
	@$(MAKE) --no-print-directory -j$$(nproc) -s MODE=release programs
	@scripts/gallery --build build/release$(if $(filter system,$(VIPS)),-sysvips) $(if $(IMAGE),--image $(IMAGE))

# --- documents -------------------------------------------------------------------------------
# docs/configuration.md is what the programs say of themselves.
docs: programs
	@scripts/config-docs $(B) > docs/configuration.md

# --- install ---------------------------------------------------------------------------------
install: programs
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(UNITDIR) $(DESTDIR)$(DOCDIR)/deploy \
	  $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man8 $(DESTDIR)$(PREFIX)/lib/sysusers.d $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
	install -m 755 $(B)/millrace $(B)/millrace-api $(B)/millrace-worker $(DESTDIR)$(BINDIR)
	install -m 755 $(B)/millrace-render $(DESTDIR)$(LIBEXECDIR)
	$(if $(VIPS_SO),install -m 644 $(VIPS_SO) $(DESTDIR)$(LIBEXECDIR))
	for u in systemd/*.service; do sed 's|/usr/local/bin|$(BINDIR)|' $$u > $(DESTDIR)$(UNITDIR)/$${u##*/}; done
	install -m 644 systemd/millrace.sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/millrace.conf
	install -m 644 systemd/millrace.tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/millrace.conf
	cp -r deploy/. $(DESTDIR)$(DOCDIR)/deploy
	install -m 644 README.md CHANGELOG.md $(wildcard docs/*.md) $(DESTDIR)$(DOCDIR)
	install -m 644 $(wildcard docs/man/*.1) $(DESTDIR)$(MANDIR)/man1
	install -m 644 $(wildcard docs/man/*.8) $(DESTDIR)$(MANDIR)/man8

clean:
	rm -rf build compile_commands.json

-include $(OBJ:.o=.d) $(UNIT_SRC:%.c=$(B)/%.d) $(UNIT_HELP:%.c=$(B)/%.d) $(FUZZ_ALL:%=$(B)/tests/fuzz/fuzz_%.d) $(B)/bench/picture.d $(B)/bench/bare_loop.d
