/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/virtio/virtqueue.h"

#include "tests/unit/test.h"
#include "tests/unit/vmm/guest.h"

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT

static struct memory *mem;
static struct virtqueue vq;
static struct virtqueue_chain chain;

static int set_up(void **state)
{
	struct err err;

	(void)state;
	mem = memory_new(GUEST_MEMORY, 0, &err);
	guest_queue(&vq, mem, 8);
	return mem && virtqueue_enable(&vq) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	memory_free(mem);
	return 0;
}

static void test_a_chain_is_split_into_readable_and_writable(void **state)
{
	(void)state;
	guest_desc(mem, 0, GUEST_DATA, 16, NEXT, 3);
	guest_desc(mem, 3, GUEST_DATA + 100, 20, NEXT | WRITE, 5);
	guest_desc(mem, 5, GUEST_DATA + 200, 30, WRITE, 0);
	guest_offer(mem, 8, 0);
	assert_int_equal(virtqueue_pop(&vq, &chain), 1);
	assert_int_equal(chain.nreadable, 1);
	assert_int_equal(chain.nwritable, 2);
	assert_int_equal(chain.writable_bytes, 50);
	assert_ptr_equal(chain.writable[1].iov_base, memory_at(mem, GUEST_DATA + 200, 30));
	virtqueue_push(&vq, chain.head, 7);
	assert_int_equal(((uint16_t *)memory_at(mem, GUEST_USED, 64))[1], 1);
	assert_int_equal(((uint32_t *)memory_at(mem, GUEST_USED, 64))[2], 7);
	assert_int_equal(virtqueue_pop(&vq, &chain), 0);
}

/* What a hostile driver can write, and that each breaks the queue instead of the process. */
static void loop_of_descriptors(void)
{
	guest_desc(mem, 0, GUEST_DATA, 16, NEXT, 1);
	guest_desc(mem, 1, GUEST_DATA, 16, NEXT, 0);
	guest_offer(mem, 8, 0);
}

static void next_out_of_table(void)
{
	guest_desc(mem, 0, GUEST_DATA, 16, NEXT, 8);
	guest_offer(mem, 8, 0);
}

static void head_out_of_table(void)
{
	guest_offer(mem, 8, 0xffff);
}

static void buffer_beyond_memory(void)
{
	guest_desc(mem, 0, GUEST_MEMORY - 8, 16, 0, 0);
	guest_offer(mem, 8, 0);
}

static void buffer_wraps_around(void)
{
	guest_desc(mem, 0, UINT64_MAX - 7, 16, 0, 0);
	guest_offer(mem, 8, 0);
}

static void buffer_of_no_length(void)
{
	guest_desc(mem, 0, GUEST_DATA, 0, 0, 0);
	guest_offer(mem, 8, 0);
}

static void readable_after_writable(void)
{
	guest_desc(mem, 0, GUEST_DATA, 16, NEXT | WRITE, 1);
	guest_desc(mem, 1, GUEST_DATA, 16, 0, 0);
	guest_offer(mem, 8, 0);
}

static void index_runs_ahead(void)
{
	((uint16_t *)memory_at(mem, GUEST_AVAIL, 64))[1] = 9;
}

static void indirect_within_indirect(void)
{
	struct vring_desc inner = { .addr = GUEST_DATA + 64, .len = 16, .flags = INDIRECT };

	memcpy(memory_at(mem, GUEST_DATA, 16), &inner, 16);
	guest_desc(mem, 0, GUEST_DATA, 16, INDIRECT, 0);
	guest_offer(mem, 8, 0);
}

static void indirect_of_odd_length(void)
{
	guest_desc(mem, 0, GUEST_DATA, 24, INDIRECT, 0);
	guest_offer(mem, 8, 0);
}

static void indirect_outside_of_memory(void)
{
	guest_desc(mem, 0, GUEST_MEMORY, 16, INDIRECT, 0);
	guest_offer(mem, 8, 0);
}

static void indirect_of_gigabytes(void)
{
	guest_desc(mem, 0, GUEST_DATA, 0xfffffff0, INDIRECT, 0);
	guest_offer(mem, 8, 0);
}

static void test_broken_rings_break_the_queue_only(void **state)
{
	static void (*const attacks[])(void) = {
		loop_of_descriptors, next_out_of_table, head_out_of_table, buffer_beyond_memory, buffer_wraps_around,
		buffer_of_no_length, readable_after_writable, index_runs_ahead, indirect_within_indirect,
		indirect_of_odd_length, indirect_outside_of_memory, indirect_of_gigabytes,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(attacks); i++) {
		guest_queue(&vq, mem, 8);
		assert_int_equal(virtqueue_enable(&vq), 0);
		attacks[i]();
		assert_int_equal(virtqueue_pop(&vq, &chain), -EBADMSG);
		assert_int_equal(virtqueue_pop(&vq, &chain), 0); /* broken: quiet until reset */
		assert_false(virtqueue_should_interrupt(&vq));
	}
}

static void test_a_head_in_flight_cannot_be_offered_again(void **state)
{
	(void)state;
	guest_desc(mem, 0, GUEST_DATA, 16, 0, 0);
	guest_offer(mem, 8, 0);
	guest_offer(mem, 8, 0);
	assert_int_equal(virtqueue_pop(&vq, &chain), 1);
	assert_int_equal(virtqueue_pop(&vq, &chain), -EBADMSG);
}

static void test_rings_must_be_aligned_and_in_memory(void **state)
{
	static const struct {
		uint16_t size;
		gpa_t desc, avail, used;
	} bad[] = {
		{ 0, GUEST_DESC, GUEST_AVAIL, GUEST_USED },	 { 7, GUEST_DESC, GUEST_AVAIL, GUEST_USED },
		{ 512, GUEST_DESC, GUEST_AVAIL, GUEST_USED },	 { 8, GUEST_DESC + 8, GUEST_AVAIL, GUEST_USED },
		{ 8, GUEST_DESC, GUEST_AVAIL + 1, GUEST_USED },	 { 8, GUEST_DESC, GUEST_AVAIL, GUEST_USED + 2 },
		{ 8, GUEST_MEMORY - 64, GUEST_AVAIL, GUEST_USED }, { 8, GUEST_DESC, GUEST_MEMORY, GUEST_USED },
		{ 8, GUEST_DESC, GUEST_AVAIL, UINT64_MAX - 3 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		guest_queue(&vq, mem, bad[i].size);
		vq.desc = bad[i].desc;
		vq.avail = bad[i].avail;
		vq.used = bad[i].used;
		assert_int_equal(virtqueue_enable(&vq), -EINVAL);
	}
}

static void test_interrupts_follow_the_used_event(void **state)
{
	uint16_t *avail = memory_at(mem, GUEST_AVAIL, 64);

	(void)state;
	vq.event_idx = true;
	guest_desc(mem, 0, GUEST_DATA, 16, WRITE, 0);
	avail[2 + 8] = 1; /* used_event: tell me of the second */
	for (int i = 0; i < 3; i++) {
		guest_offer(mem, 8, 0);
		assert_int_equal(virtqueue_pop(&vq, &chain), 1);
		virtqueue_push(&vq, chain.head, 0);
		/* The first look interrupts in any case: nothing was known before. */
		assert_int_equal(virtqueue_should_interrupt(&vq), i < 2);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TESTS(T(test_a_chain_is_split_into_readable_and_writable), T(test_broken_rings_break_the_queue_only),
      T(test_a_head_in_flight_cannot_be_offered_again), T(test_rings_must_be_aligned_and_in_memory),
      T(test_interrupts_follow_the_used_event))
