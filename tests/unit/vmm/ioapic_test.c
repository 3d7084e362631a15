/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/arch/x86_64/ioapic.h"

#include "tests/unit/test.h"
#include "vmm/arch/arch.h"

#define PINS 4
#define REDIRECTION 0x10
#define DIRECT 0x400

static struct ioapic ioapic;

static int set_up(void **state)
{
	(void)state;
	ioapic_init(&ioapic, -1, PINS);
	return 0;
}

static uint32_t get(uint32_t index)
{
	uint32_t value = 0;

	ioapic_access(&ioapic, 0, &index, 4, true);
	ioapic_access(&ioapic, 0x10, &value, 4, false);
	return value;
}

static void put(uint32_t index, uint32_t value)
{
	ioapic_access(&ioapic, 0, &index, 4, true);
	ioapic_access(&ioapic, 0x10, &value, 4, true);
}

static void test_it_has_the_pins_that_were_asked_for_all_masked(void **state)
{
	struct kvm_irq_routing_entry route;

	(void)state;
	assert_int_equal(get(1), 0x11 | (PINS - 1) << 16);
	for (unsigned int i = 0; i < PINS; i++) {
		assert_int_equal(get(REDIRECTION + 2 * i), 1 << 16);
		assert_false(ioapic_route(&ioapic, i, &route));
	}
}

/* Intel SDM 3, 11.11: where the bits of an entry go in a message. */
static void test_an_entry_becomes_its_message(void **state)
{
	struct kvm_irq_routing_entry route;

	(void)state;
	put(REDIRECTION + 5, 0x12000000); /* pin 2, to APIC 0x12 */
	put(REDIRECTION + 4, 0x31);	   /* vector 0x31, fixed, physical, edge */
	assert_true(ioapic_route(&ioapic, 2, &route));
	assert_int_equal(route.gsi, 2);
	assert_int_equal(route.type, KVM_IRQ_ROUTING_MSI);
	assert_int_equal(route.u.msi.address_lo, 0xfee12000);
	assert_int_equal(route.u.msi.address_hi, 0);
	assert_int_equal(route.u.msi.data, 0x4031);
	put(REDIRECTION + 4, 0x8931 | 1 << 11); /* lowest priority, logical, level */
	assert_true(ioapic_route(&ioapic, 2, &route));
	assert_int_equal(route.u.msi.address_lo, 0xfee1200c);
	assert_int_equal(route.u.msi.data, 0xc131);
	put(REDIRECTION + 4, 0x31 | 1 << 16);
	assert_false(ioapic_route(&ioapic, 2, &route));
}

static void test_the_guest_cannot_set_what_is_the_chips(void **state)
{
	(void)state;
	put(REDIRECTION, 0xffffffff);
	assert_int_equal(get(REDIRECTION), 0xffffffff & ~(1U << 12 | 1U << 14));
	put(0, 0xffffffff);
	assert_int_equal(get(0), 0x0f000000);
	put(1, 0);
	assert_int_equal(get(1), 0x11 | (PINS - 1) << 16);
}

static void test_registers_that_do_not_exist(void **state)
{
	struct ioapic before;
	uint8_t byte = 0;

	(void)state;
	before = ioapic;
	for (uint32_t index = 3; index < 256; index++) {
		if (index >= REDIRECTION && index < REDIRECTION + 2 * PINS)
			continue;
		assert_int_equal(get(index), 0xffffffff);
		put(index, 0x31);
	}
	assert_memory_equal(before.entries, ioapic.entries, sizeof(before.entries));
	/* 3.1: 32 bits at a time, two places. */
	ioapic_access(&ioapic, 0, &byte, 1, true);
	for (uint64_t offset = 1; offset < IOAPIC_WINDOW; offset++) {
		uint64_t index = (offset - DIRECT) / 4, value = 0x31;

		if (offset != 0x10 && !(offset >= DIRECT && offset % 4 == 0 && index >= REDIRECTION && index < REDIRECTION + 2 * PINS))
			for (unsigned int len = 1; len <= 8; len *= 2)
				ioapic_access(&ioapic, offset, &value, len, true);
	}
	/* Both halves at once from a place where no entry begins, and reads of 64 bits. */
	for (uint64_t offset = DIRECT; offset < IOAPIC_WINDOW; offset += 8) {
		uint64_t value = 0x31;

		ioapic_access(&ioapic, offset + 4, &value, 8, true);
		ioapic_access(&ioapic, offset, &value, 8, false);
		assert_int_equal(value, 0x31);
	}
	assert_memory_equal(before.entries, ioapic.entries, sizeof(before.entries));
}

/* Each register in a place of its own, and an entry in one write. */
static void test_registers_without_a_window(void **state)
{
	struct kvm_irq_routing_entry route;
	uint64_t entry = 0x1200000000000031;
	uint32_t value = 0;

	(void)state;
	ioapic_access(&ioapic, DIRECT + 4, &value, 4, false);
	assert_int_equal(value, 0x11 | (PINS - 1) << 16);
	ioapic_access(&ioapic, DIRECT + 4 * (REDIRECTION + 2 * 2), &entry, 8, true);
	assert_int_equal(get(REDIRECTION + 4), 0x31);
	assert_int_equal(get(REDIRECTION + 5), 0x12000000);
	assert_true(ioapic_route(&ioapic, 2, &route));
	assert_int_equal(route.u.msi.address_lo, 0xfee12000);
	value = 0x32 | 1 << 16 | 1 << 14;
	ioapic_access(&ioapic, DIRECT + 4 * (REDIRECTION + 2 * 2), &value, 4, true);
	assert_false(ioapic_route(&ioapic, 2, &route));
	ioapic_access(&ioapic, DIRECT + 4 * (REDIRECTION + 2 * 2), &value, 4, false);
	assert_int_equal(value, 0x32 | 1 << 16);
	ioapic_access(&ioapic, DIRECT + 4 * (REDIRECTION + 2 * PINS), &value, 4, false);
	assert_int_equal(value, 0xffffffff);
}

static void test_its_state_comes_back(void **state)
{
	struct kvm vm = { .vm = -1 };
	struct bus mmio = { .nranges = 0 };
	struct err err;
	struct arch_interrupts *one = arch_interrupts_new(&vm, PINS, &mmio, &err), *two;
	struct arch_machine_state saved;
	uint32_t index = REDIRECTION + 5, value = 0x12000000;

	(void)state;
	bus_access(&mmio, X86_IOAPIC, &index, 4, true);
	bus_access(&mmio, X86_IOAPIC + 0x10, &value, 4, true);
	arch_save_interrupts(one, &saved);
	mmio = (struct bus){ .nranges = 0 };
	two = arch_interrupts_new(&vm, PINS, &mmio, &err);
	assert_int_equal(arch_restore_interrupts(two, &saved, &err), 0);
	value = 0;
	bus_access(&mmio, X86_IOAPIC + 0x10, &value, 4, false); /* the index came back as well */
	assert_int_equal(value, 0x12000000);
	saved.npins = PINS + 1;
	assert_int_equal(arch_restore_interrupts(two, &saved, &err), -EINVAL);
	arch_interrupts_free(one);
	arch_interrupts_free(two);
}

#define T(name) cmocka_unit_test_setup(name, set_up)

TESTS(T(test_it_has_the_pins_that_were_asked_for_all_masked), T(test_an_entry_becomes_its_message),
      T(test_the_guest_cannot_set_what_is_the_chips), T(test_registers_that_do_not_exist),
      T(test_registers_without_a_window), T(test_its_state_comes_back))
