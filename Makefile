# make            builds everything that is C (guest kernel and initramfs: make guest)
# make demo       runs a Debian root file system in a microVM (installs what is missing first)
# make check      all tests; check-unit: those that need neither root nor KVM
# make fuzz       builds and runs the fuzz targets, FUZZ_SECONDS=60 each
# make bench      measures against crun, runc and runsc, in the emulated host
# make profile    where a cold boot's instructions and exits go, in the emulated host
# make lint install clean
#
# B=build V=1 WERROR=1 SAN=address,undefined TRAP=undefined ARCH=x86_64 CC=gcc prefix=/usr/local DESTDIR=

VERSION := 0.1.0
ARCH ?= x86_64
SAN ?=
# What SAN=undefined finds, without a run-time library: static programs that end there, for real containers.
TRAP ?=
comma := ,
B ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(TRAP),-trap)
V ?= 0
WERROR ?= 0
prefix ?= /usr/local
CC ?= gcc
PROTOC_C ?= protoc-c

Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-6s %s\n' $(1) $(2))

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wformat=2 -Wvla -Wundef \
	-Wpointer-arith -Wimplicit-fallthrough $(if $(filter 1,$(WERROR)),-Werror)
SAN_FLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer,-D_FORTIFY_SOURCE=2) \
	$(if $(TRAP),-fsanitize=$(TRAP) -fsanitize-undefined-trap-on-error)
# The programs are static but with sanitizers, which need the dynamic libc: of the host, or in the initramfs.
LINK := $(if $(SAN),-fsanitize=$(SAN) -static-libasan -static-libtsan -static-libubsan -static-libgcc -no-pie,-static-pie)
SAN_O := $(if $(filter-out undefined,$(SAN)),$(B)/tests/sanitizer.o)
static = $(if $(SAN),-Wl$(comma)-Bstatic $(1) -Wl$(comma)-Bdynamic,$(1))
CFLAGS ?= -O2 -g
override CFLAGS += -std=gnu11 -D_GNU_SOURCE -DCELLA_VERSION='"$(VERSION)"' -DCELLA_LIBDIR='"$(prefix)/lib/cella"' $(WARNINGS) $(SAN_FLAGS) \
	-fstack-protector-strong -fPIE -ffunction-sections -fdata-sections
override CPPFLAGS += -I. -I$(B) -Ivmm/arch/$(ARCH)
TEST_LDFLAGS := $(if $(SAN),-fsanitize=$(SAN)) -pie
override LDFLAGS += $(LINK) -Wl,-z,relro,-z,now,--gc-sections

sources = $(foreach d,$(1),$(wildcard $(d)/*.c))
objects = $(patsubst %.c,$(B)/%.o,$(1))

PROTOS := lib/ttrpc.proto agent/proto/agent.proto
PROTO_C := $(PROTOS:%.proto=$(B)/%.pb-c.c)
PROTO_O := $(PROTO_C:%.c=%.o)

LIB := $(call objects,$(call sources,lib)) $(B)/lib/ttrpc.pb-c.o
VMM := $(call objects,$(filter-out vmm/main.c,$(call sources,vmm vmm/virtio vmm/fs vmm/arch/$(ARCH))))
AGENT := $(call objects,$(filter-out agent/main.c,$(call sources,agent))) $(B)/agent/proto/agent.pb-c.o
RUNTIME := $(call objects,$(filter-out runtime/main.c,$(call sources,runtime))) $(B)/agent/proto/agent.pb-c.o

VMM_LIBS := $(call static,-lfuse3 -lfdt -luring -ljansson) -pthread -ldl
AGENT_LIBS := $(call static,-lprotobuf-c -ljansson)
RUNTIME_LIBS := $(call static,-lprotobuf-c -ljansson -lseccomp -linih)
VERIFY_LIBS := $(call static,-lcrypto -ljansson) $(filter-out -lcrypto,$(shell pkg-config --static --libs libcrypto))

PROGRAMS := $(B)/cella-vmm $(B)/cella-agent $(B)/cella $(B)/cella-image

all: $(PROGRAMS)

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all unit demo check check-unit check-integration fuzz bench profile lint install clean guest deps

$(B)/cella-vmm: $(B)/vmm/main.o $(VMM) $(SAN_O) $(B)/lib.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(VMM_LIBS)

$(B)/cella-agent: $(B)/agent/main.o $(AGENT) $(SAN_O) $(B)/lib.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(AGENT_LIBS)

$(B)/cella: $(B)/runtime/main.o $(RUNTIME) $(SAN_O) $(B)/lib.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(RUNTIME_LIBS)

# Signs and checks the guest image: the only program that links libcrypto.
$(B)/cella-image: $(B)/rootfs-builder/image.o $(SAN_O) $(B)/lib.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(VERIFY_LIBS)

$(B)/lib.a: $(LIB)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(B)/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Generated code is not held to our warnings.
$(B)/%.pb-c.o: $(B)/%.pb-c.c
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(filter-out -W%,$(CFLAGS)) -MMD -MP -c -o $@ $<

$(B)/%.pb-c.c: %.proto
	$(call say,PROTO,$<)
	@mkdir -p $(@D)
	$(Q)$(PROTOC_C) --c_out=$(B) -I. $<

$(call objects,$(call sources,lib runtime agent)): | $(PROTO_C)

# The VMM's seccomp filters, compiled by a program of the build.
$(B)/seccomp_filters.h: $(B)/seccomp-compile
	$(call say,GEN,$@)
	$(Q)$< > $@

$(B)/seccomp-compile: vmm/seccomp/compile.c vmm/seccomp/rules.h
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -I. -std=gnu11 -D_GNU_SOURCE $(WARNINGS) $(SAN_FLAGS) -O1 -o $@ $< -lseccomp

$(B)/vmm/sandbox.o: $(B)/seccomp_filters.h

-include $(shell find $(B) -name '*.d' 2>/dev/null)

# Unit tests: one program per file, linked with the objects of the program that it looks into, main.o left out.
UNIT := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/*/*_test.c))

$(B)/tests/unit/lib/%: $(B)/tests/unit/lib/%.o $(B)/lib.a
	$(call say,LD,$@)
	$(Q)$(CC) $(TEST_LDFLAGS) -o $@ $^ -lcmocka -lprotobuf-c -ljansson
$(B)/tests/unit/vmm/%: $(B)/tests/unit/vmm/%.o $(VMM) $(B)/lib.a
	$(call say,LD,$@)
	$(Q)$(CC) $(TEST_LDFLAGS) -o $@ $^ -lcmocka -lprotobuf-c $(VMM_LIBS)
$(B)/tests/unit/agent/%: $(B)/tests/unit/agent/%.o $(AGENT) $(B)/lib.a
	$(call say,LD,$@)
	$(Q)$(CC) $(TEST_LDFLAGS) -o $@ $^ -lcmocka $(AGENT_LIBS)
$(B)/tests/unit/runtime/%: $(B)/tests/unit/runtime/%.o $(RUNTIME) $(B)/lib.a
	$(call say,LD,$@)
	$(Q)$(CC) $(TEST_LDFLAGS) -o $@ $^ -lcmocka $(RUNTIME_LIBS)

$(call objects,$(wildcard tests/unit/*/*_test.c)): | $(PROTO_C)

unit: $(UNIT)

check-unit: $(UNIT)
	$(Q)tests/run unit $(UNIT)

check-integration: all guest
	$(Q)tests/run integration $(B)

check: deps
	$(Q)tests/run all $(B)

lint:
	$(Q)tests/lint

deps:
	$(Q)tests/install-deps

demo: deps
	$(Q)tests/demo $(B)

bench: deps all guest
	$(Q)tests/bench/bench $(B)

profile: deps all guest
	$(Q)tests/bench/boot-profile $(B)

FUZZ_SECONDS ?= 60
fuzz:
	$(Q)tests/fuzz/run $(FUZZ_SECONDS)

# The guest image: kernel, initramfs, signed manifest.
guest: $(B)/guest/manifest.json

# The directories, too: a patch that is taken away changes nothing else.
$(B)/guest/vmlinux: guest-kernel/build guest-kernel/compact.c guest-kernel/check-config guest-kernel/config guest-kernel/patches \
		$(wildcard guest-kernel/config/*.config guest-kernel/patches/*.patch)
	$(call say,GUEST,kernel)
	@mkdir -p $(@D)
	$(Q)dir=$$(guest-kernel/build) && cp $$dir/vmlinux $@ && cp $$dir/config $(@D)/config && cp $$dir/fragments $(@D)/fragments && \
		cp $$dir/System.map $(@D)/System.map

$(B)/guest/initramfs.cpio: $(B)/cella-agent rootfs-builder/build
	$(call say,GUEST,initramfs)
	@mkdir -p $(@D)
	$(Q)rootfs-builder/build $< $@

$(B)/guest/manifest.json: $(B)/guest/vmlinux $(B)/guest/initramfs.cpio $(B)/cella-image rootfs-builder/sign
	$(call say,SIGN,$(@D))
	$(Q)rootfs-builder/sign $(B)/cella-image $(@D)

install: all guest
	install -d $(DESTDIR)$(prefix)/bin $(DESTDIR)$(prefix)/lib/cella $(DESTDIR)/etc/cella
	install -s -m 755 $(B)/cella $(DESTDIR)$(prefix)/bin/cella
	install -s -m 755 $(B)/cella-vmm $(B)/cella-image $(DESTDIR)$(prefix)/lib/cella/
	install -m 644 $(B)/guest/vmlinux $(B)/guest/initramfs.cpio $(B)/guest/manifest.json $(B)/guest/manifest.sig $(DESTDIR)$(prefix)/lib/cella/
	install -m 644 $(B)/guest/guest.pub $(DESTDIR)/etc/cella/guest.pub
	install -d $(DESTDIR)$(prefix)/lib/systemd/system
	sed 's|@prefix@|$(prefix)|' runtime/cella-template.service > $(DESTDIR)$(prefix)/lib/systemd/system/cella-template.service

clean:
	rm -rf $(B)
