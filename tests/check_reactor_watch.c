/* SPDX-License-Identifier: BSD-3-Clause */
/* check_reactor_watch.c - a source that the system will not watch: it is tried again, and nothing
 * else waits for that. */
#include <check.h>
#include <fcntl.h>
#include <unistd.h>

#include "harness/checks.h"
#include "net/fdtable.h"
#include "reactor_stage.h"

/* A file cannot be watched. */
struct file {
  struct source source;
  struct transport transport;
  struct ticker ticker;
  struct stage *stage;
  int calls;
};

static void watch(struct file *f)
{
  reactor_watch(&f->stage->reactor, &f->source, NET_IN, TIME_FOREVER);
}

static void on_io(struct source *source, unsigned events)
{
  struct file *f = container_of(source, struct file, source);

  ck_assert_uint_eq(events, 0);
  ck_assert_int_eq(source->broken, 1);
  f->calls++;
  watch(f);
}

static int64_t on_tick(struct ticker *ticker, int64_t now)
{
  (void)now;
  watch(container_of(ticker, struct file, ticker));
  return TIME_FOREVER;
}

static void file_open(struct file *f, struct stage *s)
{
  memset(f, 0, sizeof *f);
  f->stage = s;
  ck_assert_int_eq(transport_init(&f->transport), 0);
  f->transport.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  ck_assert_int_ge(f->transport.fd, 0);
  ck_assert_int_eq(fdtable_add(f->transport.fd), 0);
  source_init(&f->source, &f->transport, on_io);
  f->ticker.tick = on_tick;
}

static void file_close(struct file *f)
{
  reactor_unwatch(&f->stage->reactor, &f->source);
  transport_close(&f->transport);
  transport_destroy(&f->transport);
}

START_TEST(a_source_that_cannot_be_watched_holds_up_nobody)
{
  struct stage s;
  struct file f;

  stage_open(&s);
  file_open(&f, &s);
  watch(&f);
  for (int rounds = 0; f.calls < 3 && rounds < 1000; rounds++) {
    int calls = f.calls;

    reactor_step(&s.reactor, in_ms(20));
    ck_assert_int_le(f.calls, calls + 1);
  }
  ck_assert_int_ge(f.calls, 3);
  file_close(&f);
  stage_close(&s);
}
END_TEST

START_TEST(a_source_that_a_ticker_could_not_watch_is_not_slept_over)
{
  struct stage s;
  struct file f;
  int64_t begun = clock_ns();

  stage_open(&s);
  file_open(&f, &s);
  ticker_add(&s.reactor, &f.ticker, 1);
  reactor_step(&s.reactor, in_ms(SOON_MS)); /* until the next try */
  reactor_step(&s.reactor, 0);
  ck_assert_int_eq(f.calls, 1);
  ck_assert_int_lt(clock_ns() - begun, HANG_MS * NS_PER_MS);
  file_close(&f);
  stage_close(&s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("reactor_watch");

  tcase_add_test(tc, a_source_that_cannot_be_watched_holds_up_nobody);
  tcase_add_test(tc, a_source_that_a_ticker_could_not_watch_is_not_slept_over);
  return checks_run("reactor_watch", tc);
}
