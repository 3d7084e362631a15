/* SPDX-License-Identifier: Apache-2.0 */
/* The IOAPIC. */
#include "ioapic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "vmm/arch/arch.h"

/* 82093AA, 3.1: the two registers that are mapped, and the ones behind them. */
#define OFFSET_SELECT 0x00
#define OFFSET_WINDOW 0x10
#define OFFSET_DIRECT 0x400 /* ours: ioapic.h */
#define REG_ID 0x00
#define REG_VERSION 0x01
#define REG_ARBITRATION 0x02
#define REG_REDIRECTION 0x10

#define VERSION 0x11
#define ID_SHIFT 24
#define ID_MASK 0xf

/* 3.2.4: a redirection entry. */
#define ENTRY_VECTOR 0xffULL
#define ENTRY_DELIVERY_MODE 0x700ULL
#define ENTRY_LOGICAL (1ULL << 11)
#define ENTRY_READ_ONLY (1ULL << 12 | 1ULL << 14) /* delivery status, remote IRR: always 0 here */
#define ENTRY_LEVEL (1ULL << 15)
#define ENTRY_MASKED (1ULL << 16)
#define ENTRY_DESTINATION_SHIFT 56
#define DELIVERY_LOWEST_PRIORITY 0x100ULL

/* Intel SDM 3, 11.11: a message's address and data. */
#define MESSAGE_ADDRESS 0xfee00000U
#define MESSAGE_DESTINATION_SHIFT 12
#define MESSAGE_REDIRECT (1U << 3)
#define MESSAGE_LOGICAL (1U << 2)
#define MESSAGE_ASSERT (1U << 14)
#define MESSAGE_LEVEL (1U << 15)

void ioapic_init(struct ioapic *ioapic, int vm, unsigned int npins)
{
	*ioapic = (struct ioapic){ .vm = vm, .npins = npins };
	pthread_mutex_init(&ioapic->lock, NULL);
	for (unsigned int i = 0; i < npins; i++)
		ioapic->entries[i] = ENTRY_MASKED;
}

bool ioapic_route(const struct ioapic *ioapic, unsigned int pin, struct kvm_irq_routing_entry *route)
{
	uint64_t entry = ioapic->entries[pin];
	uint32_t address = MESSAGE_ADDRESS | (uint32_t)(entry >> ENTRY_DESTINATION_SHIFT) << MESSAGE_DESTINATION_SHIFT;

	if (entry & ENTRY_MASKED)
		return false;
	if (entry & ENTRY_LOGICAL)
		address |= MESSAGE_LOGICAL;
	if ((entry & ENTRY_DELIVERY_MODE) == DELIVERY_LOWEST_PRIORITY)
		address |= MESSAGE_REDIRECT;
	*route = (struct kvm_irq_routing_entry){
		.gsi = pin,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi.address_lo = address,
		.u.msi.data = (uint32_t)(entry & (ENTRY_VECTOR | ENTRY_DELIVERY_MODE)) | MESSAGE_ASSERT |
			      (entry & ENTRY_LEVEL ? MESSAGE_LEVEL : 0),
	};
	return true;
}

/* Tells KVM of all unmasked pins. */
static void set_routes(struct ioapic *ioapic)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entries[IOAPIC_PINS_MAX];
	} table = { 0 };
	int ret;

	for (unsigned int i = 0; i < ioapic->npins; i++)
		if (ioapic_route(ioapic, i, &table.entries[table.head.nr]))
			table.head.nr++;
	if (ioapic->vm < 0)
		return;
	ret = kvm_ioctl(ioapic->vm, KVM_SET_GSI_ROUTING, &table);
	if (ret < 0)
		log_warn_limited("ioapic: set interrupt routes: %s", strerror(-ret));
}

/*
 * An edge that arrives while its pin is masked has no route and is lost, where a chip would keep it. So a pin that is
 * unmasked gets one: a driver finds nothing to do and goes on.
 */
static void raise_after_unmask(const struct ioapic *ioapic, unsigned int pin)
{
	struct kvm_irq_routing_entry route;
	struct kvm_msi message;
	int ret;

	if (ioapic->vm < 0 || !ioapic_route(ioapic, pin, &route))
		return;
	message = (struct kvm_msi){ .address_lo = route.u.msi.address_lo, .data = route.u.msi.data };
	ret = kvm_ioctl(ioapic->vm, KVM_SIGNAL_MSI, &message);
	if (ret < 0)
		log_warn_limited("ioapic: raise pin %u: %s", pin, strerror(-ret));
}

static void write_entry(struct ioapic *ioapic, unsigned int pin, uint64_t entry)
{
	uint64_t old = ioapic->entries[pin];

	entry &= ~ENTRY_READ_ONLY;
	ioapic->entries[pin] = entry;
	/* What a masked pin says is nobody's business: most writes at boot end here. */
	if (entry == old || (entry & old & ENTRY_MASKED))
		return;
	set_routes(ioapic);
	/* The first time there was no device to raise anything: its vector was never set. */
	if (old & ENTRY_MASKED && old & ENTRY_VECTOR)
		raise_after_unmask(ioapic, pin);
}

static void write_half(struct ioapic *ioapic, unsigned int pin, bool high, uint32_t value)
{
	unsigned int shift = high ? 32 : 0;

	write_entry(ioapic, pin, (ioapic->entries[pin] & ~(0xffffffffULL << shift)) | (uint64_t)value << shift);
}

static uint32_t read_register(const struct ioapic *ioapic, uint32_t index)
{
	unsigned int pin = (index - REG_REDIRECTION) / 2;

	switch (index) {
	case REG_ID:
	case REG_ARBITRATION:
		return (uint32_t)ioapic->id << ID_SHIFT;
	case REG_VERSION:
		return VERSION | (ioapic->npins - 1) << 16;
	}
	if (index < REG_REDIRECTION || pin >= ioapic->npins)
		return 0xffffffff;
	return (uint32_t)(ioapic->entries[pin] >> (index & 1 ? 32 : 0));
}

static void write_register(struct ioapic *ioapic, uint32_t index, uint32_t value)
{
	unsigned int pin = (index - REG_REDIRECTION) / 2;

	if (index == REG_ID)
		ioapic->id = value >> ID_SHIFT & ID_MASK;
	else if (index >= REG_REDIRECTION && pin < ioapic->npins)
		write_half(ioapic, pin, index & 1, value);
}

/* The chip's own way to its registers: one of them is selected, and seen through a window. */
static void access_window(struct ioapic *ioapic, uint64_t offset, uint32_t *value, bool is_write)
{
	if (offset == OFFSET_SELECT && is_write)
		ioapic->index = *value & 0xff;
	else if (offset == OFFSET_SELECT)
		*value = ioapic->index;
	else if (offset == OFFSET_WINDOW && is_write)
		write_register(ioapic, ioapic->index, *value);
	else if (offset == OFFSET_WINDOW)
		*value = read_register(ioapic, ioapic->index);
}

static void access_direct(struct ioapic *ioapic, uint64_t offset, uint32_t *value, bool is_write)
{
	if (is_write)
		write_register(ioapic, (uint32_t)(offset / 4), *value);
	else
		*value = read_register(ioapic, (uint32_t)(offset / 4));
}

/* Both halves of an entry at once. */
static void write_direct_entry(struct ioapic *ioapic, uint64_t offset, uint64_t entry)
{
	uint64_t index = offset / 4, pin = (index - REG_REDIRECTION) / 2;

	if (offset % 8 == 0 && index >= REG_REDIRECTION && pin < ioapic->npins)
		write_entry(ioapic, (unsigned int)pin, entry);
}

void ioapic_access(void *ctx, uint64_t offset, void *data, unsigned int len, bool is_write)
{
	struct ioapic *ioapic = ctx;
	uint64_t value = 0;
	uint32_t word;

	if (len != 4 && !(len == 8 && is_write && offset >= OFFSET_DIRECT))
		return;
	memcpy(&value, data, len);
	word = (uint32_t)value;
	pthread_mutex_lock(&ioapic->lock);
	if (offset < OFFSET_DIRECT)
		access_window(ioapic, offset, &word, is_write);
	else if (len == 8)
		write_direct_entry(ioapic, offset - OFFSET_DIRECT, value);
	else if (offset % 4 == 0)
		access_direct(ioapic, offset - OFFSET_DIRECT, &word, is_write);
	pthread_mutex_unlock(&ioapic->lock);
	if (!is_write)
		memcpy(data, &word, 4);
}

int arch_create_irqchip(const struct kvm *kvm, unsigned int nlines, struct err *err)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { nlines } };
	int ret = kvm_ioctl(kvm->vm, KVM_ENABLE_CAP, &cap);

	return ret < 0 ? err_set(err, -ret, "create the VM's local interrupt controllers") : 0;
}

struct arch_interrupts {
	struct ioapic ioapic;
};

struct arch_interrupts *arch_interrupts_new(const struct kvm *kvm, unsigned int nlines, struct bus *mmio, struct err *err)
{
	struct arch_interrupts *interrupts;
	int ret;

	if (nlines < 1 || nlines > IOAPIC_PINS_MAX) {
		err_msg(err, E2BIG, "%u interrupt lines (at most %d)", nlines, IOAPIC_PINS_MAX);
		return NULL;
	}
	interrupts = calloc(1, sizeof(*interrupts));
	if (!interrupts) {
		err_set(err, ENOMEM, "interrupt controller");
		return NULL;
	}
	ioapic_init(&interrupts->ioapic, kvm->vm, nlines);
	ret = bus_add(mmio, X86_IOAPIC, IOAPIC_WINDOW, ioapic_access, &interrupts->ioapic);
	if (ret < 0) {
		err_set(err, -ret, "place the interrupt controller");
		free(interrupts);
		return NULL;
	}
	return interrupts;
}

void arch_save_interrupts(struct arch_interrupts *interrupts, struct arch_machine_state *state)
{
	struct ioapic *ioapic = &interrupts->ioapic;

	pthread_mutex_lock(&ioapic->lock);
	state->npins = ioapic->npins;
	state->ioapic_index = ioapic->index;
	state->ioapic_id = ioapic->id;
	memcpy(state->ioapic_entries, ioapic->entries, sizeof(state->ioapic_entries));
	pthread_mutex_unlock(&ioapic->lock);
}

int arch_restore_interrupts(struct arch_interrupts *interrupts, const struct arch_machine_state *state, struct err *err)
{
	struct ioapic *ioapic = &interrupts->ioapic;

	if (state->npins != ioapic->npins)
		return err_msg(err, EINVAL, "%u interrupt lines instead of %u", state->npins, ioapic->npins);
	pthread_mutex_lock(&ioapic->lock);
	ioapic->index = state->ioapic_index & 0xff;
	ioapic->id = state->ioapic_id & ID_MASK;
	for (unsigned int i = 0; i < ioapic->npins; i++)
		ioapic->entries[i] = state->ioapic_entries[i] & ~ENTRY_READ_ONLY;
	set_routes(ioapic);
	pthread_mutex_unlock(&ioapic->lock);
	return 0;
}

void arch_interrupts_free(struct arch_interrupts *interrupts)
{
	free(interrupts);
}
