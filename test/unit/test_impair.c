/* SPDX-License-Identifier: MIT */
/* The engine's impairment: a function of packets, time and a seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/checksum.h"
#include "impair.h"
#include "wire/ipv4.h"

#define MTU 1500
#define PACKETS 100000

static struct impair *link_of(struct impair_config config)
{
    struct impair *link;

    config.directions = IMPAIR_OUT;
    config.seed = 7;
    assert_true(impair_active(&config, IMPAIR_OUT));
    assert_false(impair_active(&config, IMPAIR_IN));
    link = impair_create(&config, IMPAIR_OUT, MTU);
    assert_non_null(link);
    return link;
}

/* True when the packet comes out at once. */
static bool passes_at(struct impair *link, uint8_t *packet, size_t len, uint64_t now)
{
    const uint8_t *out;
    unsigned flags;
    size_t got;

    impair_push(link, packet, len, 0, now);
    out = impair_pop(link, &got, &flags, now);
    if (out == NULL)
        return false;
    assert_int_equal(got, len);
    memcpy(packet, out, len);
    return true;
}

static bool passes(struct impair *link, uint8_t *packet, size_t len)
{
    return passes_at(link, packet, len, 0);
}

/* ---- loss ---- */

struct losses {
    unsigned lost, bursts;
};

static struct losses count_losses(struct impair *link)
{
    struct losses losses = {0};
    bool before = true;

    for (unsigned i = 0; i < PACKETS; i++) {
        uint8_t packet[40] = {0};
        bool passed = passes(link, packet, sizeof(packet));

        losses.lost += !passed;
        losses.bursts += !passed && before;
        before = passed;
    }
    return losses;
}

static void losses_are_as_many_as_asked_for(void **state)
{
    struct losses losses = count_losses(link_of((struct impair_config){.loss = 50000}));

    (void)state;
    assert_in_range(losses.lost, 4700, 5300);
    assert_in_range(losses.bursts, losses.lost * 93 / 100, losses.lost * 97 / 100);
}

static void bursts_lose_as_many_but_in_a_row(void **state)
{
    struct losses losses = count_losses(link_of((struct impair_config){.loss = 50000, .burst = 8}));

    (void)state;
    assert_in_range(losses.lost, 4500, 5500);
    assert_in_range(losses.lost * 10 / losses.bursts, 75, 85);
}

static void a_pause_ends_a_burst(void **state)
{
    struct impair *link = link_of((struct impair_config){.loss = 50000, .burst = 1000});
    uint8_t packet[40] = {0};

    (void)state;
    for (uint64_t now = 0; passes_at(link, packet, sizeof(packet), now); now++)
        ;
    assert_false(passes_at(link, packet, sizeof(packet), 100000000));
    assert_true(passes_at(link, packet, sizeof(packet), 300000000));
}

static void a_loss_of_everything_is_one_burst(void **state)
{
    struct losses losses =
        count_losses(link_of((struct impair_config){.loss = 1000000, .burst = 8}));

    (void)state;
    assert_int_equal(losses.lost, PACKETS);
    assert_int_equal(losses.bursts, 1);
}

/* ---- marks ---- */

static unsigned count_marks(struct impair *link, uint8_t tos)
{
    struct ipv4 ip = {.src = {UTCP_IPV4, {10, 0, 0, 1}},
                      .dst = {UTCP_IPV4, {10, 0, 0, 2}},
                      .protocol = IP_TCP,
                      .ttl = 64,
                      .tos = tos,
                      .payload_len = 20};
    unsigned marks = 0;

    for (unsigned i = 0; i < 65536; i++) {
        uint8_t packet[40] = {0};

        ip.id = (uint16_t)i; /* so that every checksum is met */
        ipv4_write(packet, &ip);
        assert_true(passes(link, packet, sizeof(packet)));
        assert_int_equal(checksum_finish(checksum_add(0, packet, IPV4_HEADER)), 0);
        assert_int_equal(packet[1] & 0xfc, tos & 0xfc);
        marks += packet[1] != tos;
        assert_true(packet[1] == tos || (packet[1] & 3) == 3);
    }
    return marks;
}

static void marks_meet_what_is_capable_of_ecn(void **state)
{
    struct impair *link = link_of((struct impair_config){.mark = 250000});

    (void)state;
    assert_in_range(count_marks(link, 0x22), 16000, 16800);
    assert_in_range(count_marks(link, 0x01), 16000, 16800);
    assert_int_equal(count_marks(link, 0x20), 0);
    assert_int_equal(count_marks(link, 0x03), 0);
}

static void what_is_not_ipv4_is_not_marked(void **state)
{
    struct impair *link = link_of((struct impair_config){.mark = 1000000});
    uint8_t ipv6[40] = {0x60, 0x20}, before[40];
    uint8_t tiny[2] = {0x45, 0x02};

    (void)state;
    memcpy(before, ipv6, sizeof(ipv6));
    assert_true(passes(link, ipv6, sizeof(ipv6)));
    assert_memory_equal(ipv6, before, sizeof(ipv6));
    assert_true(passes(link, tiny, sizeof(tiny)));
    assert_int_equal(tiny[1], 0x02);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_are_as_many_as_asked_for),
        cmocka_unit_test(bursts_lose_as_many_but_in_a_row),
        cmocka_unit_test(a_pause_ends_a_burst),
        cmocka_unit_test(a_loss_of_everything_is_one_burst),
        cmocka_unit_test(marks_meet_what_is_capable_of_ecn),
        cmocka_unit_test(what_is_not_ipv4_is_not_marked),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("impair", tests, NULL, NULL);
}
