/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_reader_races.c - moments at which the reader of a crowd could do harm, made to happen: it is
 * stopped with the ends of calls in its hands while the client is closed, and just before it reads
 * what came before a call. The C library's pthread_mutex_unlock() is replaced by one after which it
 * can be stopped. */
#include <check.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "behaviour/crowding.h"
#include "harness/checks.h"

enum { CALLBACKS = 4, MOMENTS = 5, MOMENT_MS = 100, FADING = 16, UNSEEN_MS = 3 };

/* ---- stopped behind a lock ---- */

static atomic_int unlocks_left; /* until a reader is stopped; 0: it is not */

typedef int unlock_fn(pthread_mutex_t *);
/* A sanitizer's, which would not know what is locked. */
unlock_fn __interceptor_pthread_mutex_unlock __attribute__((weak));
static _Atomic(unlock_fn *) found_unlock;

static unlock_fn *real_unlock(void)
{
  union {
    void *object;
    unlock_fn *function;
  } found = {.function = atomic_load(&found_unlock)};

  if (found.function)
    return found.function;
  found.function = __interceptor_pthread_mutex_unlock;
  if (!found.function)
    found.object = dlsym(RTLD_NEXT, "pthread_mutex_unlock");
  atomic_store(&found_unlock, found.function);
  return found.function;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
  int err = real_unlock()(mutex);

  if (atomic_load(&unlocks_left) > 0 && is_thread("pmx-reader") &&
      atomic_fetch_sub(&unlocks_left, 1) == 1)
    reader_stop_here();
  return err;
}

/* ---- the client ends meanwhile ---- */

static void count_end(void *count, const pmx_reply *reply)
{
  (void)reply;
  atomic_fetch_add((atomic_int *)count, 1);
}

/* One by one: how often the reader looks up does not depend on chance. */
static void promise(struct crowd_scene *s, int n, atomic_int *told)
{
  for (int i = 0; i < n; i++) {
    ck_assert_int_eq(pmx_async(s->client, NULL, count_end, told, "GET odd-%d", i), PMX_OK);
    crowd_wait_seen(s, (size_t)i + 1);
    check_reader_reads();
  }
}

static bool has_ended(void *none)
{
  (void)none;
  return threads_named("poolmux") == 0;
}

static void give_up(void *client)
{
  pmx_unref(client);
}

/* Who closes gets as far as it can before the reader goes on. */
static void close_and_go_on(struct crowd_scene *s)
{
  struct background *thread;

  check_reader_is_stopped();
  thread = background_start(give_up, s->client);
  wait_for(has_ended, NULL, MOMENT_MS);
  reader_go_on();
  background_join(thread);
}

static void end_all(struct crowd_scene *s, const atomic_int *told, int promised, int moment)
{
  ck_assert_msg(atomic_load(told) == promised,
                "%d of %d callbacks ran, the reader was stopped behind lock %d", atomic_load(told),
                promised, moment);
  check_readers(0);
  ck_assert(fake_stop(s->fake));
}

/* The calls of callbacks alone are under way, and it reads for them. */
static void read_for_callbacks(struct crowd_scene *s, const struct way *way, int n,
                               atomic_int *told)
{
  atomic_store(told, 0);
  crowd_open(s, way);
  readers_are_patient(true);
  crowd_read(s, CROWD);
  crowd_finish(s);
  check_reader_reads();
  sleep_ms(UNSEEN_MS); /* so that it always looks before it writes the first */
  promise(s, n, told);
}

START_TEST(callbacks_of_a_connection_that_ends_run_before_the_client_has)
{
  for (int moment = 1; moment <= MOMENTS; moment++) {
    struct crowd_scene s;
    atomic_int told;

    read_for_callbacks(&s, &ways[_i], CALLBACKS, &told);
    atomic_store(&unlocks_left, moment);
    fake_close(crowd_conn(&s));
    close_and_go_on(&s);
    end_all(&s, &told, CALLBACKS, moment);
  }
}
END_TEST

struct counted {
  atomic_int *told;
  int n;
};

static bool are_told(void *arg)
{
  const struct counted *c = arg;

  return atomic_load(c->told) == c->n;
}

static bool is_settled(void *none)
{
  return reader_reads(none) || reader_is_away(none);
}

/* What is read for callbacks alone makes a crowd fade. */
static void answer_one(struct crowd_scene *s, atomic_int *told)
{
  struct counted c = {told, atomic_load(told) + 1};

  ck_assert(crowd_answer(s));
  ck_assert(wait_for(are_told, &c, SOON_MS));
  ck_assert(wait_for(is_settled, NULL, SOON_MS));
}

/* So often it reads until it goes, since the crowd has gone. */
static int count_reads(const struct way *way)
{
  struct crowd_scene s;
  atomic_int told;
  struct counted all = {&told, FADING};
  int n = 0;

  read_for_callbacks(&s, way, FADING, &told);
  do {
    answer_one(&s, &told);
    n++;
  } while (reader_reads(NULL));
  crowd_finish(&s);
  ck_assert(wait_for(are_told, &all, SOON_MS));
  check_stat(s.client, in_flight, 0);
  crowd_close(&s);
  ck_assert_int_lt(n, FADING);
  return n;
}

START_TEST(callbacks_of_the_last_read_run_before_the_client_has_ended)
{
  int reads = count_reads(&ways[_i]);

  for (int moment = 1; moment <= MOMENTS; moment++) {
    struct crowd_scene s;
    atomic_int told;

    read_for_callbacks(&s, &ways[_i], FADING, &told);
    for (int i = 1; i < reads; i++)
      answer_one(&s, &told);
    check_reader_reads();
    atomic_store(&unlocks_left, moment);
    crowd_finish(&s);
    close_and_go_on(&s);
    end_all(&s, &told, FADING, moment);
  }
}
END_TEST

/* ---- what came before a call ---- */

static void say_unasked(struct fake_conn *conn)
{
  static const char stray[] = ":77\r\n";

  fake_send(conn, stray, strlen(stray));
}

static void (*const acts[])(struct fake_conn *) = {say_unasked, fake_close, fake_half_close,
                                                   fake_reset};
enum { ACTS = sizeof acts / sizeof acts[0] };

static void act(struct crowd_scene *s, int i)
{
  struct fake_conn *conn = crowd_conn(s);

  acts[i](conn);
  ck_assert(fake_wait_sent(conn, SOON_MS));
}

/* It is in the socket; the reader has been stopped before it reads. */
static void call_now(struct crowd_scene *s, int i)
{
  struct caller caller;

  check_reader_is_stopped();
  sleep_ms(UNSEEN_MS); /* who comes in the same millisecond writes without a look */
  caller_start(&caller, s->client, "INCR n", NULL);
  check_outstanding(s->client, 1);
  reader_go_on();
  check_int(caller_end(&caller), 1);
  ck_assert_uint_eq(fake_accepted(s->fake), (size_t)i + 2);
}

static void end_calls(struct crowd_scene *s)
{
  ck_assert_uint_eq(fake_seen(s->fake, "INCR"), ACTS);
  ck_assert_uint_eq(stats_of(s->client).unknown + stats_of(s->client).not_run, 0);
  crowd_close(s);
}

START_TEST(what_the_reader_was_woken_for_does_not_meet_a_call)
{
  struct crowd_scene s;

  crowd_open(&s, &ways[_i]);
  readers_are_patient(true);
  for (int i = 0; i < ACTS; i++) {
    crowd_read(&s, CROWD);
    crowd_finish(&s);
    check_reader_reads();
    reader_stop_at(STOP_WOKEN);
    act(&s, i);
    call_now(&s, i);
  }
  end_calls(&s);
}
END_TEST

START_TEST(what_came_when_the_reader_was_about_to_go_does_not_meet_a_call)
{
  struct crowd_scene s;

  crowd_open(&s, &ways[_i]);
  for (int i = 0; i < ACTS; i++) {
    crowd_read(&s, CROWD);
    reader_stop_at(STOP_LATE);
    crowd_finish(&s);
    check_reader_is_stopped();
    act(&s, i);
    call_now(&s, i);
  }
  end_calls(&s);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mux_reader_races");

  ways_brief();
  add_for_ways_with(SHARES, tc, callbacks_of_a_connection_that_ends_run_before_the_client_has);
  add_for_ways_with(SHARES, tc, callbacks_of_the_last_read_run_before_the_client_has_ended);
  add_for_ways_with(SHARES, tc, what_the_reader_was_woken_for_does_not_meet_a_call);
  add_for_ways_with(SHARES, tc, what_came_when_the_reader_was_about_to_go_does_not_meet_a_call);
  return checks_run("mux_reader_races", tc);
}
