/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_buffers.c - a shared connection whose socket takes little at a time: whoever reads learns
 * that somebody's request got stuck, reading goes on while writing cannot, and what was never sent
 * keeps its place. The C library's socket() is replaced by one that gives small buffers. */
#include "behaviour/muxing.h"

#include <check.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness/checks.h"

enum { SMALL = 8 * 1024, HUGE = 20 * 1024 * 1024, LARGE = 1024 * 1024 };

static atomic_bool small_buffers;

int socket(int domain, int type, int protocol)
{
  int fd = (int)syscall(SYS_socket, domain, type, protocol), size = SMALL;

  if (fd >= 0 && atomic_load(&small_buffers)) {
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  }
  return fd;
}

static atomic_int failing_sends;     /* of the INCRs to come */
static atomic_bool nothing_is_taken; /* of any GET */

ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
  if (memmem(bytes, size, "INCR", 4) && atomic_load(&failing_sends) > 0) {
    atomic_fetch_sub(&failing_sends, 1);
    errno = EPIPE;
    return -1;
  }
  if (atomic_load(&nothing_is_taken) && memmem(bytes, size, "GET", 3)) {
    sched_yield();
    errno = EAGAIN;
    return -1;
  }
  return syscall(SYS_sendto, fd, bytes, size, flags, NULL, 0);
}

/* Small buffers on the client's side. */
static pmx_client *open_small(const struct way *way, struct fake *fake)
{
  atomic_store(&small_buffers, true);
  return open_client(way->strategy, fake_url(fake), "command_timeout", "50s", "hybrid.bulk_request",
                     "1GiB", NULL);
}

struct setter {
  pmx_client *client;
  size_t size;
  struct background *thread;
};

static void set_many_bytes(void *arg)
{
  struct setter *s = arg;
  const char *argv[] = {"SET", "k", harness_alloc(s->size)};
  const size_t len[] = {3, 1, s->size};

  check_is_ok(pmx_argv(s->client, NULL, 3, argv, len));
  free((void *)(uintptr_t)argv[2]);
}

static void setter_start(struct setter *s, pmx_client *client, size_t size)
{
  s->client = client;
  s->size = size;
  s->thread = background_start(set_many_bytes, s);
}

/* ---- a writer that gets stuck while another thread is blocked reading ---- */

/* GET is answered when a SET has come whole. */
static int answer_after_set(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  (void)ud, (void)argc, (void)len;
  if (strcasecmp(argv[0], "SET") != 0)
    return 0;
  reply_value(conn, "k");
  fake_reply_simple(conn, "OK");
  return 0;
}

START_TEST(request_that_gets_stuck_while_the_driver_is_blocked_goes_on)
{
  struct fake *fake = fake_for(&ways[_i], answer_after_set, NULL);
  pmx_client *client = open_small(&ways[_i], fake);
  struct caller driver;
  struct setter setter;

  for (int round = 0; round < (soak() ? 200 : 10); round++) {
    caller_start(&driver, client, "GET k", NULL);
    ck_assert(fake_wait_seen(fake, "GET", (size_t)round + 1, SOON_MS));
    setter_start(&setter, client, LARGE);
    background_join(setter.thread);
    callers_check_values(&driver, 1);
  }
  ck_assert_uint_eq(fake_accepted(fake), 1);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- both directions full ---- */

/* A server that writes before it reads on. */
static struct fake *start_write_first(const struct way *way, char *wire, size_t size,
                                      struct fake_step steps[8])
{
  const struct fake_step script[] = {FAKE_EXPECT("GET", "huge"), FAKE_STALL,
                                     FAKE_SEND_BYTES(wire, size), FAKE_RESUME, FAKE_END};
  struct fake_options options = {
      .over = way->over, .script = steps, .handler = answer_values};

  memcpy(steps, script, sizeof script);
  return fake_start(&options);
}

static void check_both_directions(const struct way *way, int64_t timeout_ms)
{
  struct fake_step steps[8];
  char *wire = harness_alloc(HUGE + 64);
  size_t size = (size_t)snprintf(wire, 64, "$%d\r\n", (int)HUGE) + HUGE;
  struct fake *fake;
  pmx_client *client;
  struct caller caller;
  struct setter setter;
  pmx_call call = call_in(timeout_ms);

  memcpy(wire + size, "\r\n", 2);
  fake = start_write_first(way, wire, size + 2, steps);
  client = open_small(way, fake);
  caller_start(&caller, client, "GET huge", &call);
  ck_assert(fake_wait_seen(fake, "GET", 1, SOON_MS));
  setter_start(&setter, client, HUGE);
  background_join(setter.thread);
  if (timeout_ms > 1000) {
    pmx_reply *reply = caller_end(&caller);
    size_t len = 0;

    ck_assert_ptr_nonnull(pmx_reply_str(reply, &len));
    ck_assert_uint_eq(len, HUGE);
    pmx_reply_free(reply);
  } else {
    callers_check_fail(&caller, 1, PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  }
  get_value(client, "after");
  ck_assert_uint_eq(fake_accepted(fake), 1);
  close_client(client);
  ck_assert(fake_stop(fake));
  free(wire);
}

START_TEST(large_request_and_large_reply_at_once_both_arrive)
{
  check_both_directions(&ways[_i], 50000);
}
END_TEST

/* Then the one that writes has to read, too. */
START_TEST(large_request_arrives_while_the_large_reply_is_nobodys)
{
  check_both_directions(&ways[_i], 1);
}
END_TEST

/* ---- many ---- */

enum { THREADS = 16, VALUE = 40 * 1024 };

static int answer_argument(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  if (argc != 2 || strcasecmp(argv[0], "ECHO") != 0)
    return answer_values(ud, conn, argc, argv, len);
  fake_reply_bulk(conn, argv[1], len[1]);
  return 0;
}

static void echo_large(int i, void *client)
{
  char *text = harness_alloc(VALUE + 1);
  const char *argv[] = {"ECHO", text};
  const size_t len[] = {4, VALUE};

  for (int n = 0; n < (soak() ? 200 : 8); n++) {
    pmx_reply *reply;
    size_t got = 0;

    memset(text, 'a' + i, VALUE);
    snprintf(text, VALUE, "%d-%d:", i, n);
    reply = pmx_argv(client, NULL, 2, argv, len);
    ck_assert_msg(pmx_reply_str(reply, &got) && got == VALUE &&
                      memcmp(pmx_reply_str(reply, NULL), text, VALUE) == 0,
                  "%.20s came back as \"%.20s\": %s", text,
                  pmx_ok(reply) ? pmx_reply_str(reply, NULL) : "", pmx_reply_error(reply));
    pmx_reply_free(reply);
  }
  free(text);
}

START_TEST(many_large_requests_and_replies_are_each_ones_own)
{
  struct fake *fake = fake_for(&ways[_i], answer_argument, NULL);
  pmx_client *client = open_small(&ways[_i], fake);

  run_threads(THREADS, echo_large, client);
  ck_assert_uint_eq(fake_accepted(fake), 1);
  ck_assert_uint_eq(fake_counts(fake).protocol_errors, 0);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- what was never sent ---- */

enum { CALLERS = 40, PADDING = 20000 };

struct padded {
  pmx_client *client;
  struct background *thread;
  char key[PADDING + 8];
};

static void get_padded(void *arg)
{
  struct padded *p = arg;
  pmx_call call = call_flags(PMX_CALL_NO_RETRY, SOON_MS);
  pmx_reply *reply = pmx_do(p->client, &call, "GET", p->key, (char *)NULL);

  if (pmx_ok(reply))
    check_value(reply, p->key);
  else /* of the first ones the kernel took a part */
    check_fails(reply, PMX_UNKNOWN, PMX_CAUSE_LOST);
}

/* The numbers of the keys on the second connection: as they were asked for, and none missing once
 * they have begun. */
static void check_order(struct fake *fake)
{
  int next = -1;

  for (size_t i = 0; fake_command(fake, i); i++) {
    const struct fake_command *command = fake_command(fake, i);
    int number;

    if (command->conn != 1 || strcmp(command->argv[0], "GET") != 0)
      continue;
    number = atoi(command->argv[1]);
    ck_assert_msg(next < 0 || number == next, "%d came after %d", number, next - 1);
    next = number + 1;
  }
  ck_assert_int_eq(next, CALLERS);
}

START_TEST(what_was_never_sent_keeps_its_place_over_a_reconnect)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_small(&ways[_i], fake);
  static struct padded callers[CALLERS];

  fake_stall(fake_conn_at(fake, 0));
  for (int i = 0; i < CALLERS; i++) {
    memset(callers[i].key, 'k', PADDING);
    memcpy(callers[i].key, &(char[]){(char)('0' + i / 10), (char)('0' + i % 10), ':'}, 3);
    callers[i].client = client;
    callers[i].thread = background_start(get_padded, &callers[i]);
    check_outstanding(client, (uint64_t)i + 1);
  }
  fake_reset(fake_conn_at(fake, 0));
  for (int i = 0; i < CALLERS; i++)
    background_join(callers[i].thread);
  check_order(fake);
  ck_assert_uint_eq(fake_accepted(fake), 2);
  ck_assert_uint_eq(fake_counts(fake).protocol_errors, 0);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* They are in one batch: that of the moment in which the connection was ready. */
START_TEST(batch_of_which_nothing_was_taken_goes_on_in_its_order)
{
  static const struct fake_step login[] = {FAKE_EXPECT("PING"), FAKE_END};
  static const struct fake_step none[] = {FAKE_END};
  static const struct fake_step *const scripts[] = {login, none};
  struct fake_options options = {.over = ways[_i].over,
                                 .scripts = scripts,
                                 .script_count = 2,
                                 .handler = answer_values};
  struct fake *fake = fake_start(&options);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "connect", "lazy",
                                   "retry.max", "0", (char *)NULL);
  struct caller callers[6];

  callers_start(callers, 6, client, NULL);
  ck_assert(fake_wait_accepted(fake, 1, SOON_MS));
  ck_assert(fake_wait_done(fake, 0, SOON_MS));
  atomic_store(&nothing_is_taken, true);
  fake_send(fake_conn_at(fake, 0), "+PONG\r\n", 7);
  check_stat(client, in_flight, 6);
  fake_reset(fake_conn_at(fake, 0));
  check_stat(client, closed, 1);
  atomic_store(&nothing_is_taken, false);
  callers_check_values(callers, 6);
  check_text(keys_seen(fake), "key-0 key-1 key-2 key-3 key-4 key-5");
  ck_assert_uint_eq(fake_accepted(fake), 2);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(send_that_fails_has_sent_nothing_and_the_call_goes_on)
{
  struct fake *fake = fake_for(&ways[_i], answer_values, NULL);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "retry.max", "0", NULL);

  atomic_store(&failing_sends, 2);
  check_is_ok(pmx_command(client, "INCR n"));
  ck_assert_int_eq(atomic_load(&failing_sends), 0);
  ck_assert_uint_eq(fake_seen(fake, "INCR"), 1);
  ck_assert_uint_eq(fake_accepted(fake), 3);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mux_buffers");

  add_for_ways_with(SHARES, tc, request_that_gets_stuck_while_the_driver_is_blocked_goes_on);
  add_for_ways_with(SHARES, tc, large_request_and_large_reply_at_once_both_arrive);
  add_for_ways_with(SHARES, tc, large_request_arrives_while_the_large_reply_is_nobodys);
  add_for_ways_with(SHARES, tc, many_large_requests_and_replies_are_each_ones_own);
  add_for_ways_with(SHARES, tc, what_was_never_sent_keeps_its_place_over_a_reconnect);
  add_for_plain_ways_with(SHARES, tc, batch_of_which_nothing_was_taken_goes_on_in_its_order);
  add_for_plain_ways_with(SHARES, tc, send_that_fails_has_sent_nothing_and_the_call_goes_on);
  return checks_run("mux_buffers", tc);
}
