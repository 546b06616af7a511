/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_ends.c - how the stream of a TLS connection ends: in order, cut off, by rubbish between its
 * records, by a byte that somebody changed. A call that was under way is UNKNOWN and told why, and
 * nobody gets what was not the server's. The C library's socket() and recv() are replaced by ones
 * that may change a byte on the client's way. */
#include "behaviour/leasing.h"
#include "behaviour/tls_tools.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness/checks.h"

/* ---- a byte that is changed on its way ---- */

enum { FDS = 4096 };
static atomic_bool notes_sockets;
static atomic_bool is_client[FDS]; /* made by socket(), after notes_sockets was set */
static atomic_long change_at = -1; /* of what clients receive from now on */

int socket(int domain, int type, int protocol)
{
  int fd = (int)syscall(SYS_socket, domain, type, protocol);

  if (fd >= 0 && fd < FDS)
    atomic_store(&is_client[fd], atomic_load(&notes_sockets));
  return fd;
}

static void change(char *bytes, ssize_t n)
{
  long at = atomic_load(&change_at);

  if (at < 0)
    return;
  atomic_store(&change_at, at < n ? -1 : at - n);
  if (at < n)
    bytes[at] = (char)(bytes[at] ^ 0x80);
}

ssize_t recv(int fd, void *bytes, size_t size, int flags)
{
  ssize_t n = syscall(SYS_recvfrom, fd, bytes, size, flags, NULL, NULL);

  if (n > 0 && !(flags & MSG_PEEK) && fd >= 0 && fd < FDS && atomic_load(&is_client[fd]))
    change(bytes, n);
  return n;
}

/* ---- ends ---- */

enum ending {
  CUT,
  CUT_IN_REPLY,
  IN_ORDER,
  IN_ORDER_AND_STAYS,
  RUBBISH,
  PLAIN_TEXT,
  OLD_RECORD,
  ENDINGS
};

static const struct {
  const char *name, *says;
} endings[ENDINGS] = {
    [CUT] = {"cut", "without saying so in TLS: what it sent may be cut off"},
    [CUT_IN_REPLY] = {"cut in a reply", "without saying so in TLS: what it sent may be cut off"},
    [IN_ORDER] = {"in order", "closed by the server"},
    [IN_ORDER_AND_STAYS] = {"in order and stays", "closed by the server"},
    [RUBBISH] = {"rubbish", "tampered with or broken"},
    [PLAIN_TEXT] = {"plain text", "tampered with or broken"},
    [OLD_RECORD] = {"a record of another kind", "tampered with or broken"},
};

static void end_it(struct fake_conn *conn, enum ending ending)
{
  static const char rubbish[] = "\x17\x03\x03\x00\x20"
                                "0123456789abcdef0123456789abcdef";
  static const char odd[] = "\x63\x03\x03\x00\x01x";

  switch (ending) {
  case CUT_IN_REPLY:
    fake_send(conn, "$100\r\nwhat comes", 16);
    fake_tls_truncate(conn);
    break;
  case CUT:
    fake_tls_truncate(conn);
    break;
  case IN_ORDER:
    fake_close(conn);
    break;
  case IN_ORDER_AND_STAYS:
    fake_tls_notify(conn);
    break;
  case RUBBISH:
    fake_tls_raw(conn, rubbish, sizeof rubbish - 1);
    break;
  case PLAIN_TEXT: /* what somebody in between would like to be taken for the answer */
    fake_tls_raw(conn, ":1\r\n+OK\r\n", 9);
    break;
  case OLD_RECORD:
    fake_tls_raw(conn, odd, sizeof odd - 1);
    break;
  case ENDINGS:
    break;
  }
}

/* The call on the connection with that number. */
static void check_ending(pmx_client *client, struct fake *fake, size_t number, enum ending ending)
{
  struct waiting call = {.client = client,
                         .command = "INCR never",
                         .call = call_flags(number ? flags_alone(client) : 0, SOON_MS)};
  size_t seen = fake_seen(fake, "INCR");
  pmx_reply *reply;

  waiting_start(&call);
  ck_assert(fake_wait_seen(fake, "INCR", seen + 1, SOON_MS));
  end_it(fake_conn_at(fake, number), ending);
  reply = waiting_end(&call);
  printf("%s: %s\n", endings[ending].name, pmx_reply_error(reply));
  ck_assert_int_eq(pmx_reply_safe_to_retry(reply), 0);
  check_says(reply, endings[ending].says);
  check_fails(reply, PMX_UNKNOWN, PMX_CAUSE_LOST);
}

START_TEST(call_on_a_stream_that_ends_is_unknown_and_told_why)
{
  enum ending ending = (enum ending)(_i / strategy_count);
  struct fake *fake = stream_fake(NULL);
  pmx_client *client = stream_open(_i % strategy_count, fake_url(fake));

  get_value_alone(client, "before");
  check_ending(client, fake, 0, ending);
  if (lane_beside(client))
    check_ending(client, fake, 1, ending);
  get_value(client, "after");
  get_value_alone(client, "after");
  ck_assert_uint_eq(fake_accepted(fake), 2 * (1 + lane_beside(client)));
  ck_assert_uint_eq(fake_counts(fake).handshakes, fake_accepted(fake));
  close_client(client);
  ck_assert(fake_wait_open(fake, 0, SOON_MS));
  ck_assert(fake_stop(fake));
}
END_TEST

START_TEST(idle_stream_that_ends_does_not_meet_a_call)
{
  enum ending ending = (enum ending)(_i / strategy_count);
  struct fake *fake = stream_fake(NULL);
  pmx_client *client = stream_open(_i % strategy_count, fake_url(fake));
  size_t last;

  get_value_alone(client, "before");
  last = fake_accepted(fake) - 1;
  end_it(fake_conn_at(fake, last), ending);
  if (ending <= IN_ORDER)
    ck_assert(fake_wait_open(fake, last, SOON_MS));
  else
    ck_assert(fake_wait_sent(fake_conn_at(fake, last), SOON_MS));
  if (!strategy_has(strategies[_i % strategy_count], LEASES))
    check_stat(client, closed, 1); /* its connection is watched; those of a pool are looked at */
  get_value_alone(client, "after");
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- a changed byte ---- */

START_TEST(reply_with_a_changed_byte_is_no_reply)
{
  struct fake *fake = stream_fake(NULL);
  pmx_client *client;
  size_t size;

  atomic_store(&notes_sockets, true);
  client = open_client(strategies[_i], fake_url(fake), "retry.max", "0", "reconnect.max_delay",
                       "1ms", "reconnect.min_delay", "1ms", (char *)NULL);
  get_value(client, "before");
  ck_assert(fake_wait_sent(fake_conn_at(fake, 0), SOON_MS));
  size = fake_tls_seen(fake_conn_at(fake, 0)).raw_sent;
  check_is_ok(pmx_command(client, "GET long"));
  size = fake_tls_seen(fake_conn_at(fake, 0)).raw_sent - size;
  ck_assert_uint_gt(size, STREAM_LONG);
  for (size_t at = 0; at < size; at += at < 16 ? 1 : 5) {
    pmx_reply *reply;

    get_value(client, "before"); /* what comes behind the handshake is read */
    atomic_store(&change_at, (long)at);
    reply = pmx_command(client, "GET long");
    ck_assert_int_eq(atomic_load(&change_at), -1);
    check_fails(reply, PMX_UNKNOWN, PMX_CAUSE_LOST);
  }
  get_value(client, "after");
  atomic_store(&notes_sockets, false);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("tls_ends");

  tcase_add_loop_test(tc, call_on_a_stream_that_ends_is_unknown_and_told_why, 0,
                      ENDINGS * strategy_count);
  tcase_add_loop_test(tc, idle_stream_that_ends_does_not_meet_a_call, 0, ENDINGS * strategy_count);
  add_for_strategies(tc, reply_with_a_changed_byte_is_no_reply);
  return checks_run("tls_ends", tc);
}
