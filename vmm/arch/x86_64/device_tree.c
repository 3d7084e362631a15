/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine as a flattened device tree. Bindings: Documentation/devicetree/bindings/x86/ce4100.txt (the APICs),
 * virtio/mmio.yaml. Linux's arch/x86/kernel/devicetree.c reads just these nodes.
 */
#include "device_tree.h"

#include <errno.h>
#include <libfdt.h>
#include <stdio.h>

#define PHANDLE_IOAPIC 1
#define IOAPIC_COMPATIBLE "cella,ioapic\0intel,ce4100-ioapic" /* two strings: ours has more (ioapic.h) */
#define IRQ_EDGE_RISING 3 /* second interrupt cell of intel,ce4100-ioapic */

static int add_cpus(void *fdt, unsigned int n)
{
	int ret = fdt_begin_node(fdt, "cpus");

	ret = ret ? ret : fdt_property_u32(fdt, "#address-cells", 1);
	ret = ret ? ret : fdt_property_u32(fdt, "#size-cells", 0);
	for (unsigned int i = 0; i < n && !ret; i++) {
		char name[16];

		snprintf(name, sizeof(name), "cpu@%x", i);
		ret = fdt_begin_node(fdt, name);
		ret = ret ? ret : fdt_property_string(fdt, "device_type", "cpu");
		ret = ret ? ret : fdt_property_u32(fdt, "reg", i);
		ret = ret ? ret : fdt_end_node(fdt);
	}
	return ret ? ret : fdt_end_node(fdt);
}

static int add_reg(void *fdt, gpa_t base, uint64_t size)
{
	fdt32_t reg[2] = { cpu_to_fdt32((uint32_t)base), cpu_to_fdt32((uint32_t)size) };

	return fdt_property(fdt, "reg", reg, sizeof(reg));
}

static int add_lapic(void *fdt)
{
	int ret = fdt_begin_node(fdt, "lapic@fee00000");

	ret = ret ? ret : fdt_property_string(fdt, "compatible", "intel,ce4100-lapic");
	ret = ret ? ret : add_reg(fdt, X86_LAPIC, 0x1000);
	return ret ? ret : fdt_end_node(fdt);
}

static int add_ioapic(void *fdt)
{
	int ret = fdt_begin_node(fdt, "ioapic@fec00000");

	ret = ret ? ret : fdt_property(fdt, "compatible", IOAPIC_COMPATIBLE, sizeof(IOAPIC_COMPATIBLE));
	ret = ret ? ret : fdt_property(fdt, "interrupt-controller", NULL, 0);
	ret = ret ? ret : fdt_property_u32(fdt, "#interrupt-cells", 2);
	ret = ret ? ret : fdt_property_u32(fdt, "phandle", PHANDLE_IOAPIC);
	ret = ret ? ret : add_reg(fdt, X86_IOAPIC, 0x1000);
	return ret ? ret : fdt_end_node(fdt);
}

static int add_device(void *fdt, const struct arch_mmio_device *device)
{
	fdt32_t irq[2] = { cpu_to_fdt32(device->irq), cpu_to_fdt32(IRQ_EDGE_RISING) };
	char name[32];
	int ret;

	snprintf(name, sizeof(name), "virtio@%llx", (unsigned long long)device->base);
	ret = fdt_begin_node(fdt, name);
	ret = ret ? ret : fdt_property_string(fdt, "compatible", "virtio,mmio");
	ret = ret ? ret : add_reg(fdt, device->base, device->size);
	ret = ret ? ret : fdt_property(fdt, "interrupts", irq, sizeof(irq));
	return ret ? ret : fdt_end_node(fdt);
}

static int add_bus(void *fdt, const struct arch_machine *machine)
{
	int ret = fdt_begin_node(fdt, "soc");

	ret = ret ? ret : fdt_property_u32(fdt, "#address-cells", 1);
	ret = ret ? ret : fdt_property_u32(fdt, "#size-cells", 1);
	ret = ret ? ret : fdt_property_string(fdt, "compatible", "simple-bus");
	ret = ret ? ret : fdt_property(fdt, "ranges", NULL, 0);
	ret = ret ? ret : add_lapic(fdt);
	ret = ret ? ret : add_ioapic(fdt);
	for (size_t i = 0; i < machine->ndevices && !ret; i++)
		ret = add_device(fdt, &machine->devices[i]);
	return ret ? ret : fdt_end_node(fdt);
}

int device_tree_write(void *buf, size_t size, const struct arch_machine *machine, struct err *err)
{
	int ret = fdt_create(buf, (int)size);

	ret = ret ? ret : fdt_finish_reservemap(buf);
	ret = ret ? ret : fdt_begin_node(buf, "");
	ret = ret ? ret : fdt_property_u32(buf, "#address-cells", 1);
	ret = ret ? ret : fdt_property_u32(buf, "#size-cells", 1);
	ret = ret ? ret : fdt_property_string(buf, "compatible", "cella,microvm");
	ret = ret ? ret : fdt_property_u32(buf, "interrupt-parent", PHANDLE_IOAPIC);
	ret = ret ? ret : add_cpus(buf, machine->nvcpus);
	ret = ret ? ret : add_bus(buf, machine);
	ret = ret ? ret : fdt_end_node(buf);
	ret = ret ? ret : fdt_finish(buf);
	return ret ? err_msg(err, ENOSPC, "write the device tree: %s", fdt_strerror(ret)) : 0;
}
