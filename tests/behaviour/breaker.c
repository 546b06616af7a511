/* SPDX-License-Identifier: BSD-3-Clause */
/* breaker.c - the circuit breaker (offline=fail): what opens it, what it says, how it closes, and
 * what must not open it. */
#include "behaviour.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness/checks.h"

static pmx_reply *get(pmx_client *client, int64_t timeout_ms)
{
  pmx_call call = call_in(timeout_ms);

  return pmx_do(client, &call, "GET", "k", (char *)NULL);
}

static uint64_t member(const pmx_client *client, size_t offset)
{
  pmx_stats stats = stats_of(client);
  uint64_t value;

  memcpy(&value, (const char *)&stats + offset, sizeof value);
  return value;
}

struct at_least {
  const pmx_client *client;
  size_t offset;
  uint64_t value;
};

static bool has_grown(void *arg)
{
  const struct at_least *a = arg;

  return member(a->client, a->offset) >= a->value;
}

static void wait_dial_failures(const pmx_client *client, uint64_t n)
{
  struct at_least a = {client, offsetof(pmx_stats, dial_failures), n};

  ck_assert_msg(wait_for(has_grown, &a, SOON_MS), "%llu failed connects",
                (unsigned long long)stats_of(client).dial_failures);
}

/* A client of a server that refuses, with its breaker open. */
static pmx_client *open_with_open_breaker(const struct way *way, struct fake *fake)
{
  pmx_client *client;

  fake_listen(fake, false);
  client = open_client(way->strategy, fake_url(fake), "connect", "lazy", "offline", "fail",
                       "breaker.failures", "3", "reconnect.max_delay", "40ms", NULL);
  for (int i = 0; i < 3; i++)
    check_fails(get(client, SOON_MS), PMX_NOT_RUN, PMX_CAUSE_CONNECT);
  ck_assert_uint_eq(stats_of(client).breaker_opens, 1);
  return client;
}

START_TEST(open_breaker_fails_each_call_at_once_and_says_why)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_with_open_breaker(&ways[_i], fake);
  int64_t begun = now_us();
  pmx_reply *reply;

  for (int i = 0; i < 1000; i++)
    check_fails(get(client, PMX_FOREVER), PMX_NOT_RUN, PMX_CAUSE_CIRCUIT_OPEN);
  printf("open breaker: %.1f us a call\n", (double)(now_us() - begun) / 1000);
  reply = get(client, PMX_FOREVER);
  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 1);
  ck_assert_ptr_nonnull(strstr(pmx_reply_error(reply), "refused"));
  ck_assert_ptr_nonnull(strstr(pmx_reply_error(reply), "connects in a row failed"));
  ck_assert_ptr_nonnull(strstr(pmx_reply_error(reply), " ago"));
  pmx_reply_free(reply);
  ck_assert_uint_eq(stats_of(client).breaker_opens, 1);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(open_breaker_tries_one_connect_at_a_time_without_any_call)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_with_open_breaker(&ways[_i], fake);
  uint64_t failures = stats_of(client).dial_failures;
  int64_t limit = pmx_now_ms() + SOON_MS;

  while (stats_of(client).dial_failures < failures + 5) {
    ck_assert_uint_le(stats_of(client).connecting, 1);
    ck_assert_int_lt(pmx_now_ms(), limit);
  }
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(breaker_closes_by_itself_and_keeps_the_connection_that_closed_it)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_with_open_breaker(&ways[_i], fake);

  fake_listen(fake, true);
  check_stat(client, live, 1);
  get_value(client, "k");
  ck_assert_uint_eq(fake_accepted(fake), 1);
  ck_assert_uint_eq(stats_of(client).closed, 0);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(breaker_never_opens_while_a_connection_lives)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "offline", "fail",
                                   "breaker.failures", "2", "reconnect.max_delay", "20ms",
                                   "pool.max_size", "2", "pool.wait_timeout", "300ms", NULL);
  pmx_lease *lease = pmx_acquire(client, NULL, NULL);
  pmx_call call = call_alone(client, SOON_MS);
  int64_t limit = pmx_now_ms() + SOON_MS;

  ck_assert_ptr_nonnull(lease);
  fake_listen(fake, false);
  while (stats_of(client).dial_failures < 5) {
    check_fails(pmx_do(client, &call, "GET", "k", (char *)NULL), PMX_NOT_RUN,
                PMX_CAUSE_POOL_EXHAUSTED);
    ck_assert_int_lt(pmx_now_ms(), limit);
  }
  ck_assert_uint_eq(stats_of(client).breaker_opens, 0);
  check_value(pmx_lease_command(lease, NULL, "GET %s", "k"), "k");
  ck_assert_int_eq(pmx_release(lease), PMX_OK);
  get_value_alone(client, "l");
  get_value(client, "l");
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* The lane lives, and knows nothing of it. */
START_TEST(breaker_of_the_pool_does_not_concern_a_lane_that_lives)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "offline", "fail",
                                   "breaker.failures", "2", "reconnect.max_delay", "20ms", NULL);
  pmx_call call = call_alone(client, SOON_MS);

  fake_listen(fake, false);
  for (int i = 0; i < 2; i++)
    check_fails(pmx_do(client, &call, "GET", "k", (char *)NULL), PMX_NOT_RUN, PMX_CAUSE_CONNECT);
  check_fails(pmx_do(client, &call, "GET", "k", (char *)NULL), PMX_NOT_RUN, PMX_CAUSE_CIRCUIT_OPEN);
  get_value(client, "k");
  ck_assert_uint_eq(stats_of(client).lanes_dial_failures, 0);
  ck_assert_uint_eq(stats_of(client).breaker_opens, 1);
  fake_listen(fake, true);
  check_stat(client, idle, 1); /* by itself */
  get_value_alone(client, "k");
  ck_assert_uint_eq(fake_accepted(fake), 2);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(breaker_of_a_lane_does_not_concern_a_pool_that_lives)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "offline", "fail",
                                   "breaker.failures", "2", "reconnect.max_delay", "20ms", NULL);

  get_value_alone(client, "k");
  fake_listen(fake, false);
  fake_close(fake_conn_at(fake, 0));
  check_stat(client, lanes_live, 0);
  for (int i = 0; i < 2; i++) /* the lane itself may have tried before */
    ck_assert_int_eq(pmx_reply_finish(get(client, SOON_MS)), PMX_NOT_RUN);
  ck_assert_uint_eq(stats_of(client).breaker_opens, 1);
  check_fails(get(client, SOON_MS), PMX_NOT_RUN, PMX_CAUSE_CIRCUIT_OPEN);
  get_value_alone(client, "k");
  ck_assert_uint_eq(fake_accepted(fake), 2);
  fake_listen(fake, true);
  check_stat(client, lanes_live, 1); /* by itself */
  get_value(client, "k");
  ck_assert_uint_eq(fake_accepted(fake), 3);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

static void get_later(void *client)
{
  check_value(get(client, SOON_MS), "k");
}

START_TEST(there_is_no_breaker_with_offline_wait)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  struct background *thread;
  pmx_client *client;

  fake_listen(fake, false);
  client = open_client(ways[_i].strategy, fake_url(fake), "connect", "lazy", "breaker.failures",
                       "1", "reconnect.max_delay", "20ms", NULL);
  thread = background_start(get_later, client);
  wait_dial_failures(client, 4);
  check_stat(client, waiting, 1);
  ck_assert_uint_eq(stats_of(client).breaker_opens, 0);
  fake_listen(fake, true);
  background_join(thread);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(nobody_connects_without_a_caller_with_offline_wait)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client;
  uint64_t failures;

  fake_listen(fake, false);
  client = open_client(ways[_i].strategy, fake_url(fake), "connect", "lazy", "breaker.failures",
                       "1", "reconnect.max_delay", "20ms", NULL);
  check_fails(get(client, 300), PMX_NOT_RUN, PMX_CAUSE_CONNECT);
  check_stat(client, connecting, 0);
  failures = stats_of(client).dial_failures;
  sleep_ms(100);
  ck_assert_uint_le(stats_of(client).dial_failures, failures + 1);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- our own fault is not the server's ---- */

/* From here on this process gets no new descriptor. Returns the limit there was. */
static rlim_t forbid_descriptors(void)
{
  int lowest = dup(0);
  struct rlimit limit;
  rlim_t before;

  ck_assert_int_ge(lowest, 0);
  close(lowest);
  ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
  before = limit.rlim_cur;
  limit.rlim_cur = (rlim_t)lowest;
  ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
  return before;
}

static void allow_descriptors(rlim_t before)
{
  struct rlimit limit;

  ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = before;
  ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void check_no_descriptors(pmx_client *client, struct fake *fake)
{
  rlim_t before = forbid_descriptors();
  pmx_reply *reply[4];

  for (int i = 0; i < 4; i++)
    reply[i] = get(client, SOON_MS);
  allow_descriptors(before);
  for (int i = 0; i < 4; i++) {
    ck_assert_msg(strstr(pmx_reply_error(reply[i]), "open files") != NULL, "%s",
                  pmx_reply_error(reply[i]));
    check_fails(reply[i], PMX_NOT_RUN, PMX_CAUSE_CONNECT);
  }
  ck_assert_uint_ge(stats_of(client).dial_failures, 4);
  /* They do not count towards it either. */
  fake_listen(fake, false);
  check_fails(get(client, SOON_MS), PMX_NOT_RUN, PMX_CAUSE_CONNECT);
  ck_assert_uint_eq(stats_of(client).breaker_opens, 0);
  fake_listen(fake, true);
  get_value(client, "k");
}

START_TEST(running_out_of_descriptors_before_the_first_connect_does_not_open_the_breaker)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "connect", "lazy", "offline",
                                   "fail", "breaker.failures", "2", NULL);

  check_no_descriptors(client, fake);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

static int hang_up_on_set(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  return strcmp(argv[0], "SET") == 0 ? -1 : answer_values(ud, conn, argc, argv, len);
}

START_TEST(running_out_of_descriptors_for_a_reconnect_does_not_open_the_breaker)
{
  struct fake *fake = fake_for(&ways[_i], hang_up_on_set, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "offline", "fail",
                                   "breaker.failures", "3", "pool.max_size", "1", NULL);

  fake_listen(fake, false); /* one refused connect, where a lost one is replaced at once */
  check_fails(pmx_do(client, NULL, "SET", "k", "v", (char *)NULL), PMX_UNKNOWN, PMX_CAUSE_LOST);
  check_stat(client, live, 0);
  check_stat(client, connecting, 0);
  ck_assert(fake_wait_open(fake, 0, SOON_MS));
  check_no_descriptors(client, fake);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- a name of several addresses: as "localhost" is where there is no IPv6 ---- */

static int places[3], place_count; /* the families behind each name, in order */
static int no_ipv6;                /* the error of each connect there */

/* In place of the C library's, so that nothing depends on the machine. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret)
{
  static struct addrinfo infos[3];
  static struct sockaddr_in v4 = {.sin_family = AF_INET};
  static struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};

  (void)name, (void)hints;
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  v4.sin_port = v6.sin6_port = htons((uint16_t)(service ? atoi(service) : 0));
  for (int i = 0; i < place_count; i++)
    infos[i] = (struct addrinfo){.ai_family = places[i],
                                 .ai_socktype = SOCK_STREAM,
                                 .ai_addr = places[i] == AF_INET ? (struct sockaddr *)&v4
                                                                 : (struct sockaddr *)&v6,
                                 .ai_addrlen = places[i] == AF_INET ? sizeof v4 : sizeof v6,
                                 .ai_next = i + 1 < place_count ? &infos[i + 1] : NULL};
  *ret = infos;
  return place_count ? 0 : EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *infos)
{
  (void)infos;
}

int connect(int fd, const struct sockaddr *address, socklen_t len)
{
  if (address->sa_family == AF_INET6) {
    errno = no_ipv6;
    return -1;
  }
  return (int)syscall(SYS_connect, fd, address, len);
}

struct several {
  int families[3], count, no_ipv6;
  bool listens, local;
  const char *why; /* of the failure */
};

static const struct several several[] = {
    {{AF_INET, AF_INET6}, 2, EADDRNOTAVAIL, false, false, "127.0.0.1:*refused"},
    {{AF_INET6, AF_INET}, 2, EADDRNOTAVAIL, false, false, "127.0.0.1:*refused"},
    {{AF_INET, AF_INET6}, 2, ENETUNREACH, false, false, "127.0.0.1:*refused"},
    {{AF_INET, AF_INET6}, 2, EAFNOSUPPORT, false, false, "127.0.0.1:*refused"},
    {{AF_INET, AF_INET6}, 2, EMFILE, false, false, "127.0.0.1:*refused"},
    {{AF_INET6, AF_INET6}, 2, EADDRNOTAVAIL, false, true, "assign requested address"},
    {{AF_INET6}, 1, EMFILE, false, true, "open files"},
    {{AF_INET6}, 1, ENETUNREACH, false, false, "unreachable"},
    {{AF_INET6, AF_INET}, 2, EADDRNOTAVAIL, true, false, "cannot log in to "},
    {{AF_INET6, AF_INET}, 2, EMFILE, true, false, "cannot log in to "},
};
enum { SEVERAL = sizeof several / sizeof several[0] };

static int answer_nonsense(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  (void)ud, (void)argc, (void)argv, (void)len;
  fake_send(conn, "nonsense\r\n", 10);
  return 0;
}

static void check_several(const char *strategy, const struct several *row)
{
  struct fake_options options = {.manual = true, .handler = answer_nonsense};
  struct fake *fake = fake_start(&options);
  const char *why = strchr(row->why, '*');
  char url[64], where[32];
  pmx_client *client;
  pmx_stats s;

  memcpy(places, row->families, sizeof places);
  place_count = row->count;
  no_ipv6 = row->no_ipv6;
  snprintf(url, sizeof url, "redis://several.test:%d", fake_port(fake));
  snprintf(where, sizeof where, "127.0.0.1:%d", fake_port(fake));
  fake_listen(fake, row->listens);
  client = open_client(strategy, url, "connect", "lazy", "offline", "fail", "breaker.failures", "2",
                       "reconnect.max_delay", "20ms", NULL);
  for (int i = 0; i < 2; i++) {
    pmx_reply *reply = get(client, SOON_MS);

    check_says(reply, why ? why + 1 : row->why);
    if (why)
      check_says(reply, where);
    ck_assert_int_eq(pmx_reply_finish(reply), PMX_NOT_RUN);
  }
  s = stats_of(client);
  ck_assert_uint_eq(s.breaker_opens, !row->local);
  ck_assert_uint_eq(s.dials_local, row->local ? s.dial_failures : 0);
  close_client(client);
  ck_assert(fake_stop(fake));
}

START_TEST(of_several_addresses_the_one_that_tells_most_counts)
{
  for (int i = 0; i < SEVERAL; i++)
    check_several(strategies[_i], &several[i]);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("breaker");

  ways_brief();
  add_for_ways(tc, open_breaker_fails_each_call_at_once_and_says_why);
  add_for_ways(tc, open_breaker_tries_one_connect_at_a_time_without_any_call);
  add_for_ways(tc, breaker_closes_by_itself_and_keeps_the_connection_that_closed_it);
  add_for_ways_with(LEASES, tc, breaker_never_opens_while_a_connection_lives);
  add_for_ways_with(DEDICATES, tc, breaker_of_the_pool_does_not_concern_a_lane_that_lives);
  add_for_ways_with(DEDICATES, tc, breaker_of_a_lane_does_not_concern_a_pool_that_lives);
  add_for_ways(tc, there_is_no_breaker_with_offline_wait);
  add_for_ways(tc, nobody_connects_without_a_caller_with_offline_wait);
  add_for_ways(tc, running_out_of_descriptors_before_the_first_connect_does_not_open_the_breaker);
  add_for_ways(tc, running_out_of_descriptors_for_a_reconnect_does_not_open_the_breaker);
  add_for_strategies(tc, of_several_addresses_the_one_that_tells_most_counts);
  return checks_run("breaker", tc);
}
