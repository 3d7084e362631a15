/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's last words. */
#include "vmm/serial.h"

#include <string.h>

#define REG_TRANSMIT 0
#define REG_LINE_STATUS 5
#define LINE_STATUS_IDLE 0x60 /* transmitter empty: always ready for the next byte */

void serial_init(struct serial *serial)
{
	memset(serial, 0, sizeof(*serial));
	pthread_mutex_init(&serial->lock, NULL);
}

void serial_record(struct serial *serial, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	pthread_mutex_lock(&serial->lock);
	for (size_t i = 0; i < len; i++)
		serial->kept[serial->written++ % SERIAL_KEEP] = bytes[i];
	pthread_mutex_unlock(&serial->lock);
}

void serial_access(void *ctx, uint64_t offset, void *data, unsigned int len, bool is_write)
{
	struct serial *serial = ctx;

	if (is_write) {
		if (offset == REG_TRANSMIT)
			serial_record(serial, data, 1);
	} else if (offset == REG_LINE_STATUS) {
		*(uint8_t *)data = LINE_STATUS_IDLE;
	}
	(void)len;
}

void serial_last_lines(struct serial *serial, char *out, size_t size)
{
	uint64_t start, n;
	size_t used = 0;
	bool cut;

	pthread_mutex_lock(&serial->lock);
	n = serial->written < SERIAL_KEEP ? serial->written : SERIAL_KEEP;
	if (n > size - 1)
		n = size - 1;
	start = serial->written - n;
	cut = start > 0;
	for (uint64_t i = start; i < serial->written; i++) {
		uint8_t c = serial->kept[i % SERIAL_KEEP];

		if (cut) {
			cut = c != '\n';
			continue;
		}
		if (c == '\r')
			continue;
		out[used++] = (char)(c == '\n' || c == '\t' || (c >= 0x20 && c < 0x7f) ? c : '?');
	}
	pthread_mutex_unlock(&serial->lock);
	out[used] = '\0';
}
