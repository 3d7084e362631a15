/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last lines that the guest printed, for the log of a VM that dies; and the transmit half of a UART, just enough
 * for Linux's earlyprintk=ttyS0, which is how a kernel speaks before its console driver and when it panics.
 * Called from any vCPU thread; has its own lock.
 */
#ifndef VMM_SERIAL_H
#define VMM_SERIAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERIAL_PORT 0x3f8
#define SERIAL_PORTS 8
#define SERIAL_KEEP 8192 /* bytes of the last output that are kept; a power of two */

struct serial {
	pthread_mutex_t lock;
	uint8_t kept[SERIAL_KEEP];
	uint64_t written; /* bytes ever; the newest is kept[(written - 1) % SERIAL_KEEP] */
};

void serial_init(struct serial *serial);

/* bus_handler for the ports. */
void serial_access(void *ctx, uint64_t offset, void *data, unsigned int len, bool is_write);

/* Output from another console device joins the same record. */
void serial_record(struct serial *serial, const void *data, size_t len);

/* Copies at most size - 1 of the newest bytes, unprintable ones as '?', NUL-terminated; starts at a line where it can. */
void serial_last_lines(struct serial *serial, char *out, size_t size);

#endif
