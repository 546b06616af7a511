/* SPDX-License-Identifier: BSD-3-Clause */
/* check_classify_server.c - holds the classifier against a real server: what it says waits does
 * wait that long, what it says is answered at once is, and what it says only reads changes nothing.
 */
#include <check.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include "classify_rows.h"
#include "harness/raw.h"
#include "harness/server.h"
#include "harness/util.h"
#include "route/classify.h"

enum {
  ROWS = sizeof block_rows / sizeof *block_rows,
  WATCHED_MS = 150, /* how long what waits longer is seen to wait */
  EARLY_MS = 2,     /* a server's clock ticks in ms, and was read before the command */
  HANG_MS = 10000
};

static struct server *server;

static struct raw *send_line(const struct line *l)
{
  struct raw *raw = raw_open(server_url(server, SERVER_UNIX));
  struct wire_buf out = {0};
  char head[32];

  ck_assert_ptr_nonnull(raw);
  wire_buf_add(&out, head, (size_t)snprintf(head, sizeof head, "*%d\r\n", l->argc));
  for (int i = 0; i < l->argc; i++)
    wire_bulk_add(&out, l->argv[i], l->len[i]);
  ck_assert(raw_send(raw, out.data, out.len));
  wire_buf_free(&out);
  return raw;
}

struct probe {
  const char *text;
  int64_t ms;       /* what the classifier says */
  struct raw *raw;  /* NULL: not tried */
  int64_t sent, at; /* us; at = 0: no reply yet */
  char *reply;
};

/* Not tried: what stops the whole server, and MIGRATE, which has a test of its own. */
static bool is_harmless(const char *text)
{
  static const char *const others[] = {"migrate", "flush", "shutdown", "debug", "client"};

  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (strncmp(text, others[i], strlen(others[i])) == 0)
      return false;
  return true;
}

static void probe_start(struct probe *p, const char *text)
{
  struct line l = {.argc = 0};
  struct route route;

  memset(p, 0, sizeof *p);
  p->text = text;
  if (!is_harmless(text))
    return;
  line_set(&l, text);
  classify(l.argc, l.argv, l.len, &route);
  p->ms = route.flags & ROUTE_BLOCKING ? route.block_ms : NEVER;
  p->sent = now_us();
  p->raw = send_line(&l);
}

static bool must_answer(const struct probe *p)
{
  return p->raw && p->ms < WATCHED_MS / 2;
}

/* One look at all connections; true while one that must answer has not. */
static bool collect(struct probe *probes)
{
  struct pollfd fds[ROWS];
  bool waiting = false;

  for (int i = 0; i < ROWS; i++) {
    bool open = probes[i].raw && !probes[i].reply;

    fds[i] = (struct pollfd){.fd = open ? probes[i].raw->fd : -1, .events = POLLIN};
  }
  poll(fds, ROWS, 10);
  for (int i = 0; i < ROWS; i++) {
    if (fds[i].revents) {
      probes[i].at = now_us();
      probes[i].reply = raw_reply(probes[i].raw, HANG_MS);
      ck_assert_msg(probes[i].reply, "%s: no whole reply", probes[i].text);
    }
    waiting = waiting || (must_answer(&probes[i]) && !probes[i].reply);
  }
  return waiting;
}

/* A server that is too old for a command or an option says so at once. */
static bool is_too_new(const struct probe *p)
{
  if (!p->reply || *p->reply != '-')
    return false;
  return strstr(p->reply, "unknown command") || strstr(p->text, "claim") ||
         strstr(p->text, "maxcount");
}

static void judge(const struct probe *p)
{
  int64_t took = (p->at - p->sent) / 1000;

  if (p->ms == NEVER) {
    ck_assert_msg(p->reply, "'%s' waits", p->text);
  } else if (must_answer(p)) {
    ck_assert_msg(p->reply, "'%s' waits longer than %lld ms", p->text, (long long)p->ms);
    ck_assert_msg(*p->reply != '-', "'%s': %s", p->text, p->reply);
    ck_assert_msg(took >= p->ms - EARLY_MS, "'%s' took %lld ms", p->text, (long long)took);
  } else { /* on a slow machine its time may have come */
    ck_assert_msg(!p->reply || took >= p->ms - EARLY_MS, "'%s' was answered after %lld ms: %s",
                  p->text, (long long)took, p->reply);
  }
}

START_TEST(server_waits_exactly_when_the_classifier_says_so)
{
  static struct probe probes[ROWS];
  int64_t end = now_ms() + HANG_MS, watched;
  int blocked = 0, answered = 0, too_new = 0;

  for (int i = 0; i < ROWS; i++)
    probe_start(&probes[i], block_rows[i].text);
  watched = now_ms() + WATCHED_MS;
  while (collect(probes) ? now_ms() < end : now_ms() < watched)
    ;
  for (int i = 0; i < ROWS; i++) {
    struct probe *p = &probes[i];

    if (p->raw && p->ms != NEVER && is_too_new(p)) {
      too_new++;
    } else if (p->raw) {
      judge(p);
      *(p->ms == NEVER ? &answered : &blocked) += 1;
    }
    raw_close(p->raw);
    free(p->reply);
  }
  printf("%d waited, %d did not, %d unknown to %s\n", blocked, answered, too_new,
         server_program_version());
  ck_assert_int_gt(blocked, 30);
  ck_assert_int_gt(answered, 60);
}
END_TEST

static int64_t changes(void)
{
  int64_t n = server_info(server, "rdb_changes_since_last_save");

  ck_assert_int_ne(n, SERVER_NO_INTEGER);
  return n;
}

/* Runs it and says how many changes it made. */
static int64_t changes_of(const char *text, struct route *ret)
{
  struct line l = {.argc = 0};
  int64_t before = changes();
  struct raw *raw;
  char *reply;

  line_set(&l, text);
  classify(l.argc, l.argv, l.len, ret);
  raw = send_line(&l);
  reply = raw_reply(raw, HANG_MS);
  ck_assert_msg(reply, "'%s': no reply", text);
  free(reply);
  raw_close(raw);
  return changes() - before;
}

static void fill(void)
{
  free(server_command(server, "RPUSH", "list", "3", "1", "2", NULL));
  free(server_command(server, "GEOADD", "geo", "1", "2", "m", "1", "2.1", "n", NULL));
  free(server_command(server, "SETBIT", "bits", "7", "1", NULL));
  free(server_command(server, "XADD", "stream", "1-1", "f", "v", NULL));
}

START_TEST(what_is_classified_as_read_only_changes_nothing)
{
  static const char *const reads[] = {
      "sort list",
      "sort list desc limit 0 1 get #",
      "georadius geo 1 2 99 km withdist",
      "georadiusbymember geo m 99 km asc",
      "bitfield bits get u8 0",
      "bitfield nobits get u8 0",
      "xread count 1 streams stream 0",
      "pfcount nohll",
      "object freq list",
      "memory usage list",
      "command",
      "config get maxmemory",
      "function list",
      "eval_ro return{redis.pcall('publish','c','m'),redis.pcall('set','k','v')} 0",
  };

  fill();
  for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
    struct route route;
    int64_t n = changes_of(reads[i], &route);

    ck_assert_msg(route.flags & ROUTE_READONLY, "'%s' is not classified so", reads[i]);
    ck_assert_msg(n == 0, "'%s' made %lld changes", reads[i], (long long)n);
  }
}
END_TEST

START_TEST(what_writes_is_not_classified_as_read_only)
{
  static const char *const writes[] = {
      "sort list store sorted",
      "sort list get # store sorted",
      "georadius geo 1 2 99 km store found",
      "georadiusbymember geo m 99 km storedist found",
      "bitfield bits get u8 0 set u8 8 1",
      "bitfield bits incrby u8 0 1",
      "getex bits ex 100",
      "xreadgroup group g c streams s > ",
      "eval return{redis.call('set','x','v')} 0",
      "expire list 1000",
      "copy list copied",
      "setrange bits 0 ab",
      "spop set",
  };

  fill();
  free(server_command(server, "SADD", "set", "m", NULL));
  free(server_command(server, "XADD", "s", "*", "f", "v", NULL));
  for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
    struct route route;
    int64_t n = changes_of(writes[i], &route);

    ck_assert_msg(!(route.flags & ROUTE_READONLY), "'%s' is", writes[i]);
    ck_assert_msg(n > 0, "'%s' did not write: the test proves nothing", writes[i]);
  }
}
END_TEST

START_TEST(what_never_gets_a_reply_is_forbidden)
{
  static const char *const lines[] = {"post /", "HOST: x", "post^x"};

  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    struct line l = {.argc = 0};
    struct route route;
    struct raw *raw;

    line_set(&l, lines[i]);
    classify(l.argc, l.argv, l.len, &route);
    ck_assert_uint_ne(route.flags & ROUTE_FORBIDDEN, 0);
    raw = send_line(&l);
    ck_assert_msg(raw_wait_end(raw, HANG_MS) != RAW_OPEN, "'%s' did not hang up", lines[i]);
    raw_close(raw);
  }
}
END_TEST

START_TEST(migrate_holds_the_server_for_its_timeout)
{
  static const struct {
    const char *timeout;
    int64_t ms;
  } rows[] = {{"60", 60}, {"0", 1000}};
  struct listener silent = {.fd = -1};
  char port[8];

  free(server_command(server, "SET", "moving", "v", NULL));
  listener_open_tcp(&silent);
  snprintf(port, sizeof port, "%d", ntohs(silent.at.u.tcp.sin_port));
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const char *argv[] = {"MIGRATE", "127.0.0.1", port, "moving", "0", rows[i].timeout};
    int64_t start = now_ms();
    struct route route;
    char *reply =
        server_command(server, argv[0], argv[1], argv[2], argv[3], argv[4], argv[5], NULL);

    classify(6, argv, NULL, &route);
    ck_assert_int_eq(route.block_ms, rows[i].ms);
    ck_assert_str_eq(strndupa(reply, 6), "-IOERR");
    ck_assert_int_ge(now_ms() - start, rows[i].ms - EARLY_MS);
    free(reply);
  }
  listener_close(&silent);
}
END_TEST

static bool make_streams(void)
{
  static const char *const names[][2] = {{"s", "g"}, {"s", "block"}, {"t", "g"}};

  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char *reply =
        server_command(server, "XGROUP", "CREATE", names[i][0], names[i][1], "$", "MKSTREAM", NULL);
    bool ok = reply && strcmp(reply, "OK") == 0;

    free(reply);
    if (!ok)
      return false;
  }
  return true;
}

int main(void)
{
  /* WAITAOF refuses to wait for a file that is not kept. */
  static const char *const config[] = {"--appendonly", "yes", NULL};
  struct server_options options = {.config = config};
  Suite *suite = suite_create("classify against a server");
  TCase *tc = tcase_create("server");
  SRunner *runner = srunner_create(suite);
  int failed;

  server_require("check_classify_server");
  server = server_start(&options);
  if (!server || !make_streams())
    return EXIT_FAILURE;
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, server_waits_exactly_when_the_classifier_says_so);
  tcase_add_test(tc, what_is_classified_as_read_only_changes_nothing);
  tcase_add_test(tc, what_writes_is_not_classified_as_read_only);
  tcase_add_test(tc, what_never_gets_a_reply_is_forbidden);
  tcase_add_test(tc, migrate_holds_the_server_for_its_timeout);
  suite_add_tcase(suite, tc);
  srunner_run_all(runner, CK_NORMAL);
  failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  server_stop(server);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
