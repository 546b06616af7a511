/* SPDX-License-Identifier: BSD-3-Clause */
/* check_resolve.c - tests name lookups against a getaddrinfo of our own, which can be told to hang;
 * so nothing here depends on the machine's resolver. */
#include <check.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/park.h"
#include "base/sync.h"
#include "net/resolve.h"

/* ---- the resolver of this test: replaces the C library's ---- */

static struct {
  _Atomic int calls, inside, most_inside, hang, freed;
  struct parker leave;
} dns;

static void dns_let_go(void)
{
  atomic_store(&dns.hang, 0);
}

static void dns_enter(const char *name)
{
  int inside, most;

  atomic_fetch_add(&dns.calls, 1); /* first: a test that sees us inside counts on it */
  inside = atomic_fetch_add(&dns.inside, 1) + 1;
  most = atomic_load(&dns.most_inside);
  while (most < inside && !atomic_compare_exchange_weak(&dns.most_inside, &most, inside))
    continue;
  while (strncmp(name, "slow", 4) == 0 && atomic_load(&dns.hang))
    parker_park(&dns.leave, parker_ticket(&dns.leave), clock_ns() + NS_PER_MS);
  atomic_fetch_sub(&dns.inside, 1);
}

static struct addrinfo *make(const char *ip, struct addrinfo *next)
{
  struct addrinfo *a = calloc(1, sizeof *a + sizeof(struct sockaddr_in6));
  struct sockaddr_in in = {.sin_family = AF_INET};
  struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

  a->ai_addr = (struct sockaddr *)(void *)(a + 1);
  a->ai_next = next;
  if (inet_pton(AF_INET, ip, &in.sin_addr) == 1) {
    memcpy(a->ai_addr, &in, sizeof in);
  } else {
    inet_pton(AF_INET6, ip, &in6.sin6_addr);
    memcpy(a->ai_addr, &in6, sizeof in6);
  }
  return a;
}

/* For threads: Check's own assertions belong to the thread that runs the test. */
static void must(int truth)
{
  if (!truth)
    abort();
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret)
{
  char copy[64], ip[32];

  must(service == NULL);
  must(hints->ai_socktype == SOCK_STREAM);
  snprintf(copy, sizeof copy, "%s", name);
  dns_enter(copy);
  *ret = NULL;
  if (strcmp(copy, "unknown") == 0)
    return EAI_NONAME;
  if (strcmp(copy, "many") == 0) {
    for (int i = 40; i > 0; i--) {
      snprintf(ip, sizeof ip, "10.0.0.%d", i);
      *ret = make(ip, *ret);
    }
    return 0;
  }
  *ret = make("10.0.0.1", make("fd00::1", make("10.0.0.1", make("10.0.0.2", NULL))));
  return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
  while (list) {
    struct addrinfo *next = list->ai_next;

    free(list);
    list = next;
  }
  atomic_fetch_add(&dns.freed, 1);
}

/* ---- an issuer of lookups ---- */

struct asker {
  struct lookup lookup;
  struct parker parker;
  _Atomic int ready;
};

static void on_ready(struct lookup *l)
{
  struct asker *a = (struct asker *)(void *)l;

  atomic_fetch_add(&a->ready, 1);
  parker_wake(&a->parker);
}

static int ask(struct resolver *r, struct asker *a, const char *host, enum address_family family)
{
  struct endpoint e = {.host = host, .port = 6380, .family = family};

  memset(a, 0, sizeof *a);
  parker_init(&a->parker);
  return lookup_start(r, &a->lookup, &e, on_ready);
}

/* Ends with the resolver's lock, so that ready() has returned. */
static void wait_ready(struct resolver *r, struct asker *a)
{
  while (!atomic_load(&a->ready)) {
    uint32_t ticket = parker_ticket(&a->parker);

    if (!atomic_load(&a->ready))
      parker_park(&a->parker, ticket, TIME_FOREVER);
  }
  lookup_cancel(r, &a->lookup);
}

static const char *text_of(const struct asker *a, size_t i)
{
  static char buf[128];

  return address_text(&a->lookup.addresses[i], buf, sizeof buf);
}

static void wait_until_inside(int n)
{
  struct parker p;

  parker_init(&p);
  while (atomic_load(&dns.inside) != n)
    parker_park(&p, parker_ticket(&p), clock_ns() + NS_PER_MS);
  parker_destroy(&p);
}

static struct resolver *start(void)
{
  struct resolver *r = NULL;

  parker_init(&dns.leave);
  ck_assert_int_eq(resolver_open(&r), 0);
  return r;
}

/* ---- lookups ---- */

START_TEST(names_give_each_address_once_of_the_wanted_family)
{
  struct resolver *r = start();
  struct asker a;

  ck_assert_int_eq(ask(r, &a, "db", FAMILY_ANY), 0);
  wait_ready(r, &a);
  ck_assert_uint_eq(a.lookup.count, 3);
  ck_assert_str_eq(text_of(&a, 0), "10.0.0.1:6380");
  ck_assert_str_eq(text_of(&a, 1), "[fd00::1]:6380");
  ck_assert_str_eq(text_of(&a, 2), "10.0.0.2:6380");
  ck_assert_int_eq(ask(r, &a, "db", FAMILY_IPV6), 0);
  wait_ready(r, &a);
  ck_assert_uint_eq(a.lookup.count, 1);
  ck_assert_str_eq(text_of(&a, 0), "[fd00::1]:6380");
  ck_assert_int_eq(ask(r, &a, "many", FAMILY_ANY), 0);
  wait_ready(r, &a);
  ck_assert_uint_eq(a.lookup.count, RESOLVE_MAX);
  ck_assert_int_eq(ask(r, &a, "many", FAMILY_IPV6), 0);
  wait_ready(r, &a);
  ck_assert_str_eq(a.lookup.error, "host \"many\": no address of the wanted family");
  ck_assert_int_eq(atomic_load(&dns.freed), 4);
  resolver_close(r);
}
END_TEST

START_TEST(an_unknown_name_is_named_in_the_error)
{
  struct resolver *r = start();
  struct asker a;

  ck_assert_int_eq(ask(r, &a, "unknown", FAMILY_ANY), 0);
  wait_ready(r, &a);
  ck_assert_uint_eq(a.lookup.count, 0);
  ck_assert_str_eq(a.lookup.error, "host \"unknown\": Name or service not known");
  resolver_close(r);
}
END_TEST

START_TEST(at_most_two_threads_ask_and_the_rest_waits_in_order)
{
  struct resolver *r = start();
  struct asker a[6];
  char name[16];

  atomic_store(&dns.hang, 1);
  for (int i = 0; i < 6; i++) {
    snprintf(name, sizeof name, "slow%d", i);
    ck_assert_int_eq(ask(r, &a[i], name, FAMILY_ANY), 0);
  }
  wait_until_inside(2);
  ck_assert_int_eq(atomic_load(&dns.calls), 2);
  dns_let_go();
  for (int i = 0; i < 6; i++)
    wait_ready(r, &a[i]);
  ck_assert_int_eq(atomic_load(&dns.calls), 6);
  ck_assert_int_eq(atomic_load(&dns.most_inside), 2);
  for (int i = 0; i < 6; i++)
    ck_assert_int_eq(atomic_load(&a[i].ready), 1);
  resolver_close(r);
}
END_TEST

START_TEST(askers_of_the_same_name_share_one_lookup)
{
  struct resolver *r = start();
  struct asker a[3], other;

  atomic_store(&dns.hang, 1);
  ck_assert_int_eq(ask(r, &a[0], "slow", FAMILY_ANY), 0);
  wait_until_inside(1);
  ck_assert_int_eq(ask(r, &a[1], "slow", FAMILY_ANY), 0);
  ck_assert_int_eq(ask(r, &a[2], "slow", FAMILY_ANY), 0);
  ck_assert_int_eq(ask(r, &other, "slow", FAMILY_IPV4), 0);
  dns_let_go();
  for (int i = 0; i < 3; i++) {
    wait_ready(r, &a[i]);
    ck_assert_uint_eq(a[i].lookup.count, 3);
  }
  wait_ready(r, &other);
  ck_assert_uint_eq(other.lookup.count, 2);
  ck_assert_int_eq(atomic_load(&dns.calls), 2);
  resolver_close(r);
}
END_TEST

START_TEST(a_cancelled_lookup_is_never_ready_and_costs_no_wait)
{
  struct resolver *r = start();
  struct asker a[4];
  int64_t before;
  char name[16];

  atomic_store(&dns.hang, 1);
  for (int i = 0; i < 4; i++) { /* two hang, two are queued */
    snprintf(name, sizeof name, "slow%d", i);
    ck_assert_int_eq(ask(r, &a[i], name, FAMILY_ANY), 0);
  }
  wait_until_inside(2);
  before = clock_ns();
  for (int i = 0; i < 3; i++)
    lookup_cancel(r, &a[i].lookup);
  lookup_cancel(r, &a[0].lookup);
  ck_assert_int_lt(clock_ns() - before, NS_PER_S);
  dns_let_go();
  wait_ready(r, &a[3]);
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(atomic_load(&a[i].ready), 0);
  ck_assert_int_eq(atomic_load(&dns.calls), 3);
  resolver_close(r);
}
END_TEST

START_TEST(closing_waits_for_no_lookup_and_frees_everything)
{
  struct resolver *r = start();
  struct asker a[4];
  int64_t before;
  char name[16];

  atomic_store(&dns.hang, 1);
  for (int i = 0; i < 4; i++) {
    snprintf(name, sizeof name, "slow%d", i);
    ck_assert_int_eq(ask(r, &a[i], name, FAMILY_ANY), 0);
  }
  wait_until_inside(2);
  before = clock_ns();
  resolver_close(r);
  ck_assert_int_lt(clock_ns() - before, NS_PER_S);
  dns_let_go();
  wait_until_inside(0);
  usleep(20000); /* the threads free the resolver: for the leak check */
  ck_assert_int_eq(atomic_load(&dns.calls), 2);
  for (int i = 0; i < 4; i++)
    ck_assert_int_eq(atomic_load(&a[i].ready), 0);
}
END_TEST

START_TEST(starting_and_cancelling_race_without_harm)
{
  struct resolver *r = start();

  for (int i = 0; i < 500; i++) {
    struct asker a;
    int was_ready;

    ck_assert_int_eq(ask(r, &a, i % 2 ? "db" : "unknown", FAMILY_ANY), 0);
    if (i % 3 == 0)
      sched_yield();
    lookup_cancel(r, &a.lookup);
    was_ready = atomic_load(&a.ready);
    if (i % 5 == 0)
      sched_yield();
    ck_assert_int_eq(atomic_load(&a.ready), was_ready);
    memset(&a, 0xdd, sizeof a);
  }
  resolver_close(r);
}
END_TEST

START_TEST(each_lack_of_memory_is_an_error_or_an_answer)
{
  struct resolver *r = NULL;

  mem_fail_at(1, 0);
  ck_assert_int_ne(resolver_open(&r), 0);
  mem_fail_at(0, 0);
  r = start();
  for (uint64_t n = 1; n <= 3; n++) {
    struct asker a;
    int now;

    mem_fail_at(n, 1);
    now = ask(r, &a, "db", FAMILY_ANY);
    mem_fail_at(0, 0);
    if (!now)
      wait_ready(r, &a);
    ck_assert_int_eq(now, n <= 2);
    ck_assert_uint_eq(a.lookup.count, now ? 0 : 3);
    ck_assert_int_eq(a.lookup.error[0] != '\0', now);
  }
  resolver_close(r);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      names_give_each_address_once_of_the_wanted_family,
      an_unknown_name_is_named_in_the_error,
      at_most_two_threads_ask_and_the_rest_waits_in_order,
      askers_of_the_same_name_share_one_lookup,
      a_cancelled_lookup_is_never_ready_and_costs_no_wait,
      closing_waits_for_no_lookup_and_frees_everything,
      starting_and_cancelling_race_without_harm,
      each_lack_of_memory_is_an_error_or_an_answer,
  };
  Suite *suite = suite_create("resolve");
  TCase *tc = tcase_create("resolve");
  SRunner *runner = srunner_create(suite);
  int failed;

  tcase_set_timeout(tc, 60);
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
    tcase_add_test(tc, tests[i]);
  suite_add_tcase(suite, tc);
  srunner_run_all(runner, CK_NORMAL);
  failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
