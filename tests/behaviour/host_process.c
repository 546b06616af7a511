/* SPDX-License-Identifier: BSD-3-Clause */
/* host_process.c - the library in a process that is not made for it: SIGPIPE at its default,
 * signals that interrupt everything, thousands of descriptors, small stacks, a wall clock that
 * jumps. The C library's clocks are replaced by ones that this file can move. */
#include <poolmux/poolmux.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "behaviour/behaviour.h"
#include "behaviour/forking.h"
#include "behaviour/leasing.h"
#include "harness/checks.h"

/* ---- clocks ---- */

static _Atomic long wall_shift, wall_reads; /* seconds; how often it was looked at */

int clock_gettime(clockid_t id, struct timespec *ret)
{
  int result = (int)syscall(SYS_clock_gettime, id, ret);

  if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE || id == CLOCK_TAI) {
    ret->tv_sec += atomic_load(&wall_shift);
    atomic_fetch_add(&wall_reads, 1);
  }
  return result;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
  struct timespec now;

  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  ret->tv_sec = now.tv_sec;
  ret->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *ret)
{
  struct timespec now;

  clock_gettime(CLOCK_REALTIME, &now);
  if (ret)
    *ret = now.tv_sec;
  return now.tv_sec;
}

static void jump(void *arg)
{
  static const long jumps[] = {3600, -3600, 86400L * 4000, -86400L * 4000, 0};

  for (int i = 0; !atomic_load((_Atomic int *)arg); i++) {
    atomic_store(&wall_shift, jumps[i % 5]);
    sleep_ms(1);
  }
}

START_TEST(the_wall_clock_is_never_looked_at)
{
  struct server *server = server_start(NULL);
  _Atomic int stop = 0;
  pmx_call brief = call_in(100), alone;
  struct background *thread = background_start(jump, &stop);
  pmx_client *client;
  int64_t begin;

  atomic_store(&wall_reads, 0);
  client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size", "2",
                       "pool.keepalive", "20ms", "pool.idle_timeout", "300ms", "pool.max_lifetime",
                       "100ms", "mux.keepalive", "20ms", "command_timeout", "10s", NULL);
  alone = call_alone(client, PMX_DEFAULT);
  server_pause(server);
  begin = pmx_now_ms();
  check_fails(pmx_command_call(client, &brief, "GET k"), PMX_UNKNOWN, PMX_CAUSE_TIMEOUT);
  ck_assert_int_ge(pmx_now_ms() - begin, 95);
  check_on_time("call", begin + 100);
  server_resume(server);
  for (int i = 0; i < 100; i++) {
    check_is_ok(pmx_command_call(client, i % 2 ? &alone : NULL, "INCR n"));
    sleep_ms(2);
  }
  server_kill_clients(server);
  check_is_ok(pmx_command(client, "PING"));
  check_is_ok(pmx_command_call(client, &alone, "PING"));
  if (strategy_has(ways[_i].strategy, LEASES))
    check_stat(client, live, lane_beside(client)); /* idle for too long */
  close_client(client);
  ck_assert_int_eq(atomic_load(&wall_reads), 0);
  atomic_store(&stop, 1);
  background_join(thread);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- SIGPIPE ---- */

static void check_disposition(int signal_number, void (*expected)(int))
{
  struct sigaction action;

  sigaction(signal_number, NULL, &action);
  ck_assert(action.sa_handler == expected);
}

START_TEST(writing_to_dead_connections_survives_the_default_sigpipe)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size",
                                   "8", "pool.min_idle", "8", "pool.prefill", "sync",
                                   "pool.check_on_borrow", "none", "pool.keepalive", "off", NULL);
  uint64_t connections = strategy_has(ways[_i].strategy, LEASES) ? 8 + lane_beside(client) : 1;
  pmx_call alone = call_alone(client, PMX_DEFAULT);

  signal(SIGPIPE, SIG_DFL);
  check_is_ok(pmx_command(client, "PING")); /* where there is a lane beside 8 others: now it is */
  for (int round = 0; round < 10; round++) {
    check_stat(client, live, connections);
    check_stat(client, in_use, 0);
    server_kill_clients(server);
    for (int i = 0; i < 8; i++)
      pmx_reply_free(pmx_command_call(client, &alone, "SET k %d", i));
    if (lane_beside(client))
      pmx_reply_free(pmx_command(client, "SET k lane"));
  }
  check_is_ok(pmx_command_call(client, &alone, "GET k"));
  check_is_ok(pmx_command(client, "GET k"));
  check_disposition(SIGPIPE, SIG_DFL);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

static void hang_up(void *ud, struct fake_conn *conn)
{
  (void)ud;
  fake_reset(conn);
}

START_TEST(a_peer_that_hangs_up_in_the_middle_of_a_large_write_survives_as_well)
{
  static const struct fake_step script[] = {FAKE_EXPECT("PING"), FAKE_SEND("+PONG\r\n"), FAKE_STALL,
                                            FAKE_DELAY(30),      FAKE_CALL(hang_up),     FAKE_END};
  struct fake_options options = {.script = script, .over = ways[_i].over};
  struct fake *fake = fake_start(&options);
  pmx_client *client = open_client(ways[_i].strategy, fake_url(fake), "connect", "lazy", NULL);
  size_t size = 8 << 20;
  char *bytes = harness_alloc(size);

  signal(SIGPIPE, SIG_DFL);
  check_fails(pmx_command(client, "SET k %b", bytes, size), PMX_UNKNOWN, PMX_CAUSE_LOST);
  check_disposition(SIGPIPE, SIG_DFL);
  free(bytes);
  close_client(client);
  ck_assert(fake_stop(fake));
}
END_TEST

/* ---- signals ---- */

static _Atomic int interrupts, elsewhere;
static _Thread_local int is_ours; /* a thread of the test */

static void on_alarm(int number)
{
  (void)number;
  atomic_fetch_add(&interrupts, 1);
  if (!is_ours)
    atomic_fetch_add(&elsewhere, 1);
}

static void storm(bool on)
{
  struct sigaction action = {.sa_handler = on_alarm}; /* no SA_RESTART */
  struct itimerval often = {{0, on ? 500 : 0}, {0, on ? 500 : 0}};

  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &often, NULL);
}

struct storm_calls {
  pmx_client *client;
  bool may_block;
  int64_t until_ms;
  _Atomic int failures, calls;
};

static void call_in_storm(int i, void *arg)
{
  struct storm_calls *s = arg;
  pmx_call call = PMX_CALL_INIT;
  sigset_t set;

  is_ours = 1;
  sigemptyset(&set);
  sigaddset(&set, SIGALRM);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  call.flags = i % 2 ? flags_alone(s->client) : 0;
  while (pmx_now_ms() < s->until_ms) {
    const char *format = i == 0 && s->may_block ? "BLPOP nothing 0.02" : "SET k v";
    if (pmx_reply_finish(pmx_command_call(s->client, &call, format)) != PMX_OK)
      atomic_fetch_add(&s->failures, 1);
    atomic_fetch_add(&s->calls, 1);
  }
}

/* Waiting for a connection, for an answer, for a connect: more callers than connections, which are
 * replaced all the time. The harness' own threads block the signal, by inheritance. */
START_TEST(a_storm_of_signals_interrupts_nothing)
{
  struct server *server = server_start(NULL);
  struct storm_calls s = {.may_block = strategy_has(ways[_i].strategy, LEASES)};
  sigset_t set;

  s.client = open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.max_size", "3",
                         "pool.max_lifetime", "10ms", "pool.wait_timeout", "20s", "command_timeout",
                         "20s", "retry.max", "0", NULL);
  sigemptyset(&set);
  sigaddset(&set, SIGALRM);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  storm(true);
  s.until_ms = pmx_now_ms() + (soak() ? 20000 : 800);
  run_threads(8, call_in_storm, &s);
  storm(false);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  printf("%d calls, %d interrupts\n", atomic_load(&s.calls), atomic_load(&interrupts));
  ck_assert_int_eq(atomic_load(&s.failures), 0);
  ck_assert_int_gt(atomic_load(&interrupts), 100);
  if (strategy_has(ways[_i].strategy, LEASES))
    ck_assert_uint_ge(stats_of(s.client).closed_lifetime, 10);
  close_client(s.client);
  ck_assert(server_stop(server));
}
END_TEST

/* The library's threads must not be where the kernel delivers the application's signals. */
START_TEST(threads_of_the_library_take_no_signals)
{
  struct server *server = server_start(NULL);
  pmx_client *client;
  sigset_t set, pending;

  client =
      open_client(ways[_i].strategy, url_for(&ways[_i], server), "pool.keepalive", "5ms", NULL);
  sigemptyset(&set);
  sigaddset(&set, SIGALRM);
  pthread_sigmask(SIG_BLOCK, &set, NULL); /* now only the library could take it */
  storm(true);
  sleep_ms(50);
  storm(false);
  sigpending(&pending);
  ck_assert(sigismember(&pending, SIGALRM));
  ck_assert_int_eq(atomic_load(&elsewhere), 0);
  close_client(client);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- descriptors ---- */

enum { MANY = 2000 };

static void lend_four(pmx_client *client)
{
  pmx_lease *leases[4];

  for (int i = 0; i < 4; i++)
    leases[i] = take(client);
  get_value(client, "k");
  check_is_ok(pmx_command(client, "BLPOP nothing 0.02"));
  for (int i = 0; i < 4; i++)
    give_back(leases[i]);
}

START_TEST(two_thousand_open_descriptors_are_no_obstacle)
{
  struct server *server = server_start(NULL);
  struct rlimit limit;
  static int fds[MANY];
  pmx_client *client;
  char text[VALUE_SIZE];

  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_cur < MANY + 100 ? MANY + 100 : limit.rlim_cur;
  ck_assert_msg(setrlimit(RLIMIT_NOFILE, &limit) == 0, "the hard limit is too low: %llu",
                (unsigned long long)limit.rlim_max);
  for (int i = 0; i < MANY; i++)
    fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
  ck_assert_int_ge(fds[MANY - 1], MANY);
  client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);
  check_is_ok(pmx_command(client, "SET k %s", value_of("k", text)));
  if (strategy_has(ways[_i].strategy, LEASES))
    lend_four(client);
  get_value(client, "k");
  close_client(client);
  for (int i = 0; i < MANY; i++)
    close(fds[i]);
  ck_assert(server_stop(server));
}
END_TEST

/* ---- small stacks ---- */

enum { STACK = (SANITIZED ? 512 : 48) * 1024, LARGE = 200 * 1000 };

static void *call_on_small_stack(void *client)
{
  int ok = 1;

  for (int i = 0; i < 20 && ok; i++) {
    pmx_reply *reply = pmx_command(client, "GET large");

    ok = pmx_reply_type(reply) == PMX_TYPE_STRING;
    pmx_reply_free(reply);
  }
  return ok ? client : NULL;
}

START_TEST(a_thread_with_48_kib_of_stack_may_call)
{
  struct server *server = server_start(NULL);
  pmx_client *client = open_client(ways[_i].strategy, url_for(&ways[_i], server), NULL);
  pthread_attr_t attr;
  pthread_t threads[4];

  check_is_ok(pmx_command(client, "SETRANGE large %d x", LARGE));
  ck_assert_int_eq(pthread_attr_init(&attr), 0);
  ck_assert_int_eq(pthread_attr_setstacksize(&attr, STACK), 0);
  for (int i = 0; i < 4; i++)
    ck_assert_int_eq(pthread_create(&threads[i], &attr, call_on_small_stack, client), 0);
  for (int i = 0; i < 4; i++) {
    void *result;

    pthread_join(threads[i], &result);
    ck_assert_ptr_eq(result, client);
  }
  pthread_attr_destroy(&attr);
  close_client(client);
  server_stop(server);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("host_process");

  server_require("host_process");
  /* A certificate is valid from one day to another. */
  add_for_plain_ways_with(LEASES | SHARES, tc, the_wall_clock_is_never_looked_at);
  add_for_ways(tc, writing_to_dead_connections_survives_the_default_sigpipe);
  add_for_ways(tc, a_peer_that_hangs_up_in_the_middle_of_a_large_write_survives_as_well);
  add_for_ways(tc, a_storm_of_signals_interrupts_nothing);
  add_for_ways(tc, threads_of_the_library_take_no_signals);
  add_for_ways(tc, a_thread_with_48_kib_of_stack_may_call);
  add_for_ways(tc, two_thousand_open_descriptors_are_no_obstacle);
  return checks_run("host_process", tc);
}
