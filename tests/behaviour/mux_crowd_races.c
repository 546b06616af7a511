/* SPDX-License-Identifier: BSD-3-Clause */
/* mux_crowd_races.c - moments at which a caller could do harm, made to happen: who drives is
 * stopped with the ends of other calls in its hands while the client is closed, and who gives way
 * stays away until something has come. The C library's pthread_mutex_unlock() is replaced by one
 * after which it can be stopped. */
#include <check.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "behaviour/crowding_doors.h"
#include "harness/checks.h"

enum { CALLBACKS = 4, MOMENTS = 5, MOMENT_MS = 100, UNSEEN_MS = 3, ROUNDS = 50 };

/* ---- stopped behind a lock ---- */

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

  driver_note_unlock();
  return err;
}

/* ---- the client ends meanwhile ---- */

static void count_end(void *count, const pmx_reply *reply)
{
  (void)reply;
  atomic_fetch_add((atomic_int *)count, 1);
}

/* One of the crowd drives for these as well. */
static void gather_with_callbacks(struct crowd_scene *s, const struct way *way, atomic_int *told)
{
  atomic_store(told, 0);
  crowd_open(s, way);
  crowd_gather(s, CROWD);
  for (int i = 0; i < CALLBACKS; i++) {
    ck_assert_int_eq(pmx_async(s->client, NULL, count_end, told, "GET odd-%d", i), PMX_OK);
    crowd_wait_seen(s, (size_t)(CROWD + i)); /* one of the crowd was answered */
  }
  check_crowd_is_driven();
}

struct closing {
  pmx_client *client;
  atomic_bool closed;
};

static void close_patiently(void *arg)
{
  struct closing *c = arg;

  ck_assert_int_eq(pmx_close(c->client, SOON_MS), 1);
  atomic_store(&c->closed, true);
}

static bool is_closed(void *arg)
{
  return atomic_load(&((struct closing *)arg)->closed);
}

/* Who closes gets as far as it can before the driver goes on. */
static void close_and_go_on(struct crowd_scene *s)
{
  struct closing c = {.client = s->client};
  struct background *thread;

  check_driver_is_stopped();
  thread = background_start(close_patiently, &c);
  wait_for(is_closed, &c, MOMENT_MS);
  driver_go_on();
  background_join(thread);
}

static void end_all(struct crowd_scene *s, const atomic_int *told, int moment)
{
  crowd_end(s);
  ck_assert_msg(atomic_load(told) == CALLBACKS,
                "%d of %d callbacks ran, the driver was stopped behind lock %d", atomic_load(told),
                CALLBACKS, moment);
}

START_TEST(callbacks_of_a_connection_that_ends_run_before_the_client_has)
{
  for (int moment = 1; moment <= MOMENTS; moment++) {
    struct crowd_scene s;
    atomic_int told;

    gather_with_callbacks(&s, &ways[_i], &told);
    driver_stop_at(moment);
    fake_close(crowd_conn(&s));
    close_and_go_on(&s);
    ck_assert_int_eq(crowd_fail(&s, PMX_UNKNOWN, PMX_CAUSE_LOST), CROWD - 1);
    end_all(&s, &told, moment);
  }
}
END_TEST

static void finish(void *scene)
{
  crowd_finish(scene);
}

START_TEST(callbacks_of_the_last_read_run_before_the_client_has_ended)
{
  for (int moment = 1; moment <= MOMENTS; moment++) {
    struct background *thread;
    struct crowd_scene s;
    atomic_int told;

    gather_with_callbacks(&s, &ways[_i], &told);
    driver_stop_at(moment);
    thread = background_start(finish, &s);
    close_and_go_on(&s);
    background_join(thread);
    end_all(&s, &told, moment);
  }
}
END_TEST

/* ---- what came before a call was written ---- */

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

static void end_calls(struct crowd_scene *s, size_t connections, size_t n)
{
  ck_assert_uint_eq(fake_accepted(s->fake), connections);
  ck_assert_uint_eq(fake_seen(s->fake, "INCR"), n);
  crowd_close(s);
}

START_TEST(what_came_behind_a_crowd_does_not_meet_the_next_call)
{
  struct crowd_scene s;

  crowd_open(&s, &ways[_i]);
  for (int i = 0; i < ACTS; i++) {
    crowd_gather(&s, CROWD);
    crowd_finish(&s);
    act(&s, i);
    sleep_ms(UNSEEN_MS); /* who comes in the same millisecond writes without a look */
    check_int(pmx_command(s.client, "INCR n"), 1);
  }
  ck_assert_uint_eq(stats_of(s.client).unknown + stats_of(s.client).not_run, 0);
  end_calls(&s, ACTS + 1, ACTS);
}
END_TEST

/* ---- what happens to a call while its caller gives way ---- */

struct held_call {
  pmx_client *client;
  pmx_call call;
  pmx_reply *reply;
  atomic_bool over;
};

/* The second call begins as soon as the first has ended. */
static void call_twice(void *arg)
{
  struct held_call *h = arg;

  get_value(h->client, "k");
  turns_hold(true);
  h->reply = pmx_command_call(h->client, &h->call, "INCR n");
  atomic_store(&h->over, true);
}

static bool is_held_or_over(void *arg)
{
  return turns_held() > 0 || atomic_load(&((struct held_call *)arg)->over);
}

/* A crowd that was not answered in time ceases to give way, each time for longer: so each trial is
 * of a scene of its own, which knows nothing of the last. */
static struct background *hold_a_caller(struct crowd_scene *s, const struct way *way,
                                        struct held_call *h)
{
  turns_brief(true);
  for (int round = 0; round < ROUNDS; round++) {
    struct background *thread;

    crowd_open(s, way);
    crowd_gather(s, CROWD);
    crowd_finish(s);
    h->client = s->client;
    atomic_store(&h->over, false);
    thread = background_start(call_twice, h);
    ck_assert(wait_for(is_held_or_over, h, SOON_MS));
    if (!atomic_load(&h->over))
      return thread;
    turns_hold(false);
    background_join(thread);
    check_int(h->reply, 1);
    crowd_close(s);
  }
  ck_abort_msg("nobody gives way");
  return NULL;
}

static void let_go(struct background *thread)
{
  turns_hold(false);
  turns_brief(false);
  background_join(thread);
}

START_TEST(what_came_while_a_caller_gives_way_does_not_meet_its_call)
{
  for (int i = 0; i < ACTS; i++) {
    struct held_call h = {.call = PMX_CALL_INIT};
    struct background *thread;
    struct crowd_scene s;

    thread = hold_a_caller(&s, &ways[_i], &h);
    act(&s, i);
    let_go(thread);
    check_int(h.reply, 1);
    ck_assert_uint_eq(stats_of(s.client).unknown + stats_of(s.client).not_run, 0);
    end_calls(&s, 2, 1);
  }
}
END_TEST

/* Not a byte of it, though he would have to write it himself as soon as he is back. */
START_TEST(call_whose_time_is_up_while_its_caller_gives_way_is_not_sent)
{
  struct held_call h = {.call = call_in(MOMENT_MS)};
  struct background *thread;
  struct crowd_scene s;

  thread = hold_a_caller(&s, &ways[_i], &h);
  sleep_ms(MOMENT_MS);
  let_go(thread);
  check_fails(h.reply, PMX_NOT_RUN, PMX_CAUSE_TIMEOUT);
  end_calls(&s, 1, 0);
}
END_TEST

START_TEST(call_that_is_cancelled_while_its_caller_gives_way_is_not_sent)
{
  struct held_call h = {.call = PMX_CALL_INIT};
  struct background *thread;
  struct crowd_scene s;

  h.call.cancel = pmx_cancel_new();
  thread = hold_a_caller(&s, &ways[_i], &h);
  pmx_cancel_fire(h.call.cancel);
  let_go(thread);
  check_fails(h.reply, PMX_NOT_RUN, PMX_CAUSE_CANCELED);
  end_calls(&s, 1, 0);
  pmx_cancel_free(h.call.cancel);
}
END_TEST

static bool is_told(void *count)
{
  return atomic_load((atomic_int *)count) > 0;
}

/* However long that takes: who does not wait himself has others to write and to read for him. */
START_TEST(callback_is_called_while_a_caller_gives_way)
{
  struct held_call h = {.call = PMX_CALL_INIT};
  struct background *thread;
  struct crowd_scene s;
  atomic_int told = 0;

  thread = hold_a_caller(&s, &ways[_i], &h);
  ck_assert_int_eq(pmx_async(s.client, NULL, count_end, &told, "INCR m"), PMX_OK);
  ck_assert(wait_for(is_told, &told, SOON_MS / 2)); /* he is held for so long and more */
  ck_assert_int_gt(turns_held(), 0);
  let_go(thread);
  check_int(h.reply, 1);
  end_calls(&s, 1, 2);
}
END_TEST

START_TEST(crowd_that_has_gone_is_forgotten)
{
  struct crowd_scene s;
  unsigned before;

  crowd_open(&s, &ways[_i]);
  crowd_gather(&s, CROWD);
  crowd_finish(&s);
  sleep_ms(2 * MOMENT_MS);
  before = turns();
  get_value(s.client, "k");
  ck_assert_uint_eq(turns(), before);
  crowd_close(&s);
}
END_TEST

/* ---- a call that may be tried again, and is given up meanwhile ---- */

static void say_loading(struct crowd_scene *s, const char *key)
{
  static const char loading[] = "-LOADING wait\r\n";

  const struct fake_command *command;

  do
    command = fake_command(s->fake, s->looked++);
  while (command->argc < 2 || strcmp(command->argv[1], key) != 0);
  fake_send(crowd_conn(s), loading, strlen(loading));
}

/* Who has read that its try failed hands it over to the client's thread, where it ends at once:
 * behind the third lock, or with TLS the fourth. */
START_TEST(call_ends_while_it_is_handed_over)
{
  for (int moment = 1; moment <= 3 + (sealing(&ways[_i]) > 0); moment++) {
    pmx_call call = PMX_CALL_INIT;
    struct crowd_scene s;
    atomic_int told = 0;

    call.cancel = pmx_cancel_new();
    crowd_open(&s, &ways[_i]);
    ck_assert_int_eq(pmx_client_set(s.client, "retry.max", "3"), PMX_OK);
    ck_assert_int_eq(pmx_async(s.client, &call, count_end, &told, "GET odd-1"), PMX_OK);
    crowd_wait_seen(&s, 1);
    crowd_begin(&s, 1);
    check_crowd_is_driven();
    driver_stop_at(moment);
    say_loading(&s, "odd-1");
    check_driver_is_stopped();
    pmx_cancel_fire(call.cancel);
    wait_for(is_told, &told, MOMENT_MS); /* not where the driver has its end in its hands */
    sleep_ms(UNSEEN_MS);                 /* it is freed */
    driver_go_on();
    ck_assert(wait_for(is_told, &told, SOON_MS));
    crowd_finish(&s);
    crowd_close(&s);
    pmx_cancel_free(call.cancel);
  }
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("mux_crowd_races");

  ways_brief();
  add_for_ways_with(SHARES, tc, callbacks_of_a_connection_that_ends_run_before_the_client_has);
  add_for_ways_with(SHARES, tc, callbacks_of_the_last_read_run_before_the_client_has_ended);
  add_for_ways_with(SHARES, tc, what_came_behind_a_crowd_does_not_meet_the_next_call);
  add_for_ways_with(SHARES, tc, what_came_while_a_caller_gives_way_does_not_meet_its_call);
  add_for_ways_with(SHARES, tc, call_whose_time_is_up_while_its_caller_gives_way_is_not_sent);
  add_for_ways_with(SHARES, tc, call_that_is_cancelled_while_its_caller_gives_way_is_not_sent);
  add_for_ways_with(SHARES, tc, callback_is_called_while_a_caller_gives_way);
  add_for_ways_with(SHARES, tc, crowd_that_has_gone_is_forgotten);
  add_for_ways_with(SHARES, tc, call_ends_while_it_is_handed_over);
  return checks_run("mux_crowd_races", tc);
}
