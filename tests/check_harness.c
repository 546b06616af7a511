/* SPDX-License-Identifier: BSD-3-Clause */
/* check_harness.c - the claims of the harness about its own tools: time, threads, the hang guard,
 * random numbers, RESP, torture. Servers, fake and proxy have programs of their own. */
#include "harness/checks.h"
#include "harness/sock.h"
#include "harness/torture.h"
#include "harness/util.h"
#include "harness/wire.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- counting ---- */

START_TEST(fd_count_sees_one_descriptor)
{
  int before = fd_count(), fds[2];

  ck_assert_int_eq(pipe(fds), 0);
  ck_assert_int_eq(fd_count(), before + 2);
  close(fds[0]);
  ck_assert_int_eq(fd_count(), before + 1);
  close(fds[1]);
  ck_assert_int_eq(fd_count(), before);
}
END_TEST

START_TEST(has_children_sees_running_and_unreaped_children)
{
  int fds[2];
  char byte;
  pid_t pid;

  ck_assert(!has_children());
  ck_assert_int_eq(pipe(fds), 0);
  pid = fork();
  if (pid == 0) {
    close(fds[1]);
    _exit((int)read(fds[0], &byte, 1));
  }
  ck_assert(has_children());
  close(fds[0]);
  close(fds[1]);
  sleep_ms(20);
  ck_assert(has_children());
  ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
  ck_assert(!has_children());
}
END_TEST

static bool never(void *arg)
{
  ++*(int *)arg;
  return false;
}

START_TEST(wait_for_gives_up_in_time)
{
  int asked = 0;
  int64_t begun = now_ms();

  ck_assert(!wait_for(never, &asked, 30));
  ck_assert_int_ge(now_ms() - begun, 30);
  ck_assert_int_gt(asked, 1);
}
END_TEST

/* ---- threads ---- */

struct meeting {
  pthread_barrier_t all;
  int visits[8];
};

static void meet(int i, void *arg)
{
  struct meeting *m = arg;

  pthread_barrier_wait(&m->all); /* hangs unless all eight run at the same time */
  m->visits[i]++;
}

START_TEST(run_threads_runs_each_number_once_and_all_at_the_same_time)
{
  struct guard *guard = guard_start("run_threads", 20000);
  struct meeting m = {.visits = {0}};

  pthread_barrier_init(&m.all, NULL, 8);
  run_threads(8, meet, &m);
  pthread_barrier_destroy(&m.all);
  for (int i = 0; i < 8; i++)
    ck_assert_int_eq(m.visits[i], 1);
  guard_stop(guard);
}
END_TEST

static void set_flag(void *arg)
{
  *(int *)arg = 7;
}

START_TEST(background_join_waits_for_the_work)
{
  int flag = 0;

  background_join(background_start(set_flag, &flag));
  ck_assert_int_eq(flag, 7);
}
END_TEST

START_TEST(guard_ends_a_hanging_program_and_names_the_test)
{
  int fds[2], status;
  char text[256] = "";
  pid_t pid;

  ck_assert_int_eq(pipe(fds), 0);
  pid = fork();
  if (pid == 0) {
    dup2(fds[1], STDERR_FILENO);
    guard_start("some_claim", 30);
    sleep_ms(20000);
    _exit(0);
  }
  close(fds[1]);
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert_int_gt(read(fds[0], text, sizeof(text) - 1), 0);
  close(fds[0]);
  ck_assert(WIFEXITED(status));
  ck_assert_int_eq(WEXITSTATUS(status), EXIT_HANG);
  ck_assert_ptr_nonnull(strstr(text, "some_claim"));
}
END_TEST

START_TEST(stopped_guard_does_nothing)
{
  guard_stop(guard_start("in_time", 20));
  sleep_ms(40);
}
END_TEST

/* ---- random numbers, directories ---- */

START_TEST(same_seed_gives_the_same_numbers)
{
  struct rng a, b, c;
  int different = 0;

  rng_seed(&a, 42);
  rng_seed(&b, 42);
  rng_seed(&c, 43);
  for (int i = 0; i < 100; i++) {
    uint64_t n = rng_next(&a);

    ck_assert_uint_eq(n, rng_next(&b));
    different += n != rng_next(&c);
    ck_assert_uint_lt(rng_below(&a, 10), 10);
    rng_below(&b, 10);
  }
  ck_assert_int_gt(different, 90);
  ck_assert_uint_ne(rng_fresh(), rng_fresh());
}
END_TEST

START_TEST(test_seed_follows_the_environment)
{
  setenv("POOLMUX_TEST_SEED", "0x1f", 1);
  ck_assert_uint_eq(test_seed("harness"), 31);
}
END_TEST

/* Else a connect that is to be refused comes to the server of another test. */
START_TEST(port_that_refuses_is_nobody_elses)
{
  struct listener l;
  uint16_t port;
  int claim;

  listener_open_tcp(&l);
  port = ntohs(l.at.u.tcp.sin_port);
  listener_refuse(&l);
  ck_assert_int_eq(sock_claim(port), -1);
  listener_close(&l);
  claim = sock_claim(port);
  ck_assert_int_ge(claim, 0);
  close(claim);
}
END_TEST

START_TEST(temp_dir_is_removed_with_what_is_in_it)
{
  char dir[TEMP_DIR_SIZE], path[TEMP_DIR_SIZE + 16];
  struct stat st;
  FILE *f;

  temp_dir_make(dir);
  snprintf(path, sizeof(path), "%s/sub", dir);
  ck_assert_int_eq(mkdir(path, 0700), 0);
  snprintf(path, sizeof(path), "%s/sub/file", dir);
  f = fopen(path, "w");
  ck_assert_ptr_nonnull(f);
  fclose(f);
  temp_dir_remove(dir);
  ck_assert_int_ne(stat(dir, &st), 0);
}
END_TEST

/* ---- RESP ---- */

static const char *const replies[] = {
    "+OK\r\n",
    "-ERR x\r\n",
    ":-12\r\n",
    "$-1\r\n",
    "$0\r\n\r\n",
    "$4\r\na\r\nb\r\n",
    "*-1\r\n",
    "*0\r\n",
    "*2\r\n*2\r\n:1\r\n$1\r\na\r\n*1\r\n*0\r\n",
    "%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n_\r\n",
    "~1\r\n#t\r\n",
    ">2\r\n+a\r\n,1.5\r\n",
    "=7\r\ntxt:abc\r\n",
    "!5\r\nERR x\r\n",
    "(123456789012345678901234567890\r\n",
    "|1\r\n+ttl\r\n:5\r\n*1\r\n:1\r\n",
};

START_TEST(scan_finds_the_end_of_a_reply_however_it_is_cut)
{
  const char *reply = replies[_i];
  size_t len = strlen(reply);
  char text[128];

  snprintf(text, sizeof(text), "%s+next\r\n", reply);
  for (size_t step = 1; step <= len; step++) {
    struct wire_scan scan = {0};

    for (size_t n = step; n < len; n += step)
      ck_assert_int_eq(wire_scan(&scan, text, n), WIRE_MORE);
    ck_assert_int_eq(wire_scan(&scan, text, strlen(text)), WIRE_DONE);
    ck_assert_uint_eq(scan.pos, len);
  }
}
END_TEST

static const char *const broken[] = {
    "hello\r\n", "$x\r\n", "*1\n", "$1\r\nab\r\n", "*1\r\n?\r\n", "$-2\r\n", "*99999999999999\r\n",
};

START_TEST(scan_refuses_what_is_not_resp)
{
  struct wire_scan scan = {0};

  ck_assert_int_eq(wire_scan(&scan, broken[_i], strlen(broken[_i])), WIRE_BROKEN);
}
END_TEST

START_TEST(flatten_gives_leaves_one_a_line)
{
  static const char reply[] = "*4\r\n+a\r\n*2\r\n:1\r\n$-1\r\n-ERR no\r\n=6\r\ntxt:hi\r\n";
  char *text = wire_flatten(reply, sizeof(reply) - 1);

  ck_assert_str_eq(text, "a\n1\n(nil)\n-ERR no\nhi");
  free(text);
}
END_TEST

START_TEST(command_survives_the_way_there_and_back)
{
  const char *const argv[] = {"SET", "", "a\r\nb"};
  struct wire_buf b = {0};
  struct wire_command c;
  struct wire_scan scan = {0};

  wire_command_add(&b, 3, argv);
  ck_assert_int_eq(wire_scan(&scan, b.data, b.len), WIRE_DONE);
  ck_assert_uint_eq(scan.pos, b.len);
  ck_assert(wire_command_read(&c, b.data, b.len));
  ck_assert_int_eq(c.argc, 3);
  for (int i = 0; i < 3; i++) {
    ck_assert_uint_eq(c.len[i], strlen(argv[i]));
    ck_assert_str_eq(c.argv[i], argv[i]);
  }
  ck_assert(wire_arg_is(c.argv[0], c.len[0], "set"));
  wire_command_free(&c);
  wire_buf_free(&b);
}
END_TEST

START_TEST(command_of_other_things_than_bulks_is_refused)
{
  static const char *const wrong[] = {"+PING\r\n", "*0\r\n", "*1\r\n:1\r\n", "*1\r\n$-1\r\n"};
  struct wire_command c;

  for (size_t i = 0; i < 4; i++)
    ck_assert(!wire_command_read(&c, wrong[i], strlen(wrong[i])));
}
END_TEST

/* ---- torture ---- */

static uint64_t asked, failing;
static int failing_on;

static void pretend_fail_at(uint64_t n, int sticky)
{
  if (n > 0)
    asked = 0;
  failing = n;
  failing_on = sticky;
}

static uint64_t pretend_count(void)
{
  return asked;
}

static bool pretend_alloc(void)
{
  asked++;
  return failing == 0 || (failing_on ? asked < failing : asked != failing);
}

struct victim {
  int got; /* of three allocations; gives up at the first failure, as most code does */
  int once, sticky, clean;
};

static void suffer(void *ud)
{
  struct victim *v = ud;

  v->got = 0;
  while (v->got < 3 && pretend_alloc())
    v->got++;
}

static void examine(void *ud, uint64_t n, bool sticky, bool hit)
{
  struct victim *v = ud;

  ck_assert(pretend_alloc()); /* failing is off in here */
  ck_assert_int_eq(v->got, hit ? (int)n - 1 : 3);
  v->once += !sticky;
  v->sticky += sticky;
  v->clean += !hit;
}

START_TEST(torture_fails_each_allocation_once_and_from_then_on)
{
  struct torture_hooks hooks = {pretend_fail_at, pretend_count};
  struct victim v = {0};

  ck_assert_uint_eq(torture_with(&hooks, suffer, examine, &v), 8);
  ck_assert_int_eq(v.once, 4);
  ck_assert_int_eq(v.sticky, 4);
  ck_assert_int_eq(v.clean, 2);
}
END_TEST

int main(void)
{
  TCase *tc = checks_case("tools");

  tcase_add_test(tc, fd_count_sees_one_descriptor);
  tcase_add_test(tc, has_children_sees_running_and_unreaped_children);
  tcase_add_test(tc, wait_for_gives_up_in_time);
  tcase_add_test(tc, run_threads_runs_each_number_once_and_all_at_the_same_time);
  tcase_add_test(tc, background_join_waits_for_the_work);
  tcase_add_test(tc, guard_ends_a_hanging_program_and_names_the_test);
  tcase_add_test(tc, stopped_guard_does_nothing);
  tcase_add_test(tc, same_seed_gives_the_same_numbers);
  tcase_add_test(tc, test_seed_follows_the_environment);
  tcase_add_test(tc, port_that_refuses_is_nobody_elses);
  tcase_add_test(tc, temp_dir_is_removed_with_what_is_in_it);
  tcase_add_loop_test(tc, scan_finds_the_end_of_a_reply_however_it_is_cut, 0,
                      (int)(sizeof(replies) / sizeof(replies[0])));
  tcase_add_loop_test(tc, scan_refuses_what_is_not_resp, 0,
                      (int)(sizeof(broken) / sizeof(broken[0])));
  tcase_add_test(tc, flatten_gives_leaves_one_a_line);
  tcase_add_test(tc, command_survives_the_way_there_and_back);
  tcase_add_test(tc, command_of_other_things_than_bulks_is_refused);
  tcase_add_test(tc, torture_fails_each_allocation_once_and_from_then_on);
  return checks_run("harness", tc);
}
