/* SPDX-License-Identifier: BSD-3-Clause */
/* crowding_doors.h - see crowding.h: what threads do is looked up in /proc; sched_yield(), poll()
 * and ppoll() are this file's, so that who calls them can be counted and stopped there. It is part
 * of each program that tests a crowd, and of no other. */
#ifndef CROWDING_DOORS_H
#define CROWDING_DOORS_H
#include "behaviour/crowding.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LINE = 256, AGAIN_MS = 2 };
static const char MEMBER[] = "pmt-crowd", STRANGER[] = "pmt-other";

#ifdef SYS_epoll_wait
enum { EPOLL_WAIT = SYS_epoll_wait };
#else
enum { EPOLL_WAIT = SYS_epoll_pwait };
#endif

/* ---- threads ---- */

bool is_thread(const char *name)
{
  char mine[16] = "";

  prctl(PR_GET_NAME, mine);
  return strcmp(mine, name) == 0;
}

/* Threads are called as who starts them. */
void crowd_name(bool on)
{
  prctl(PR_SET_NAME, on ? MEMBER : STRANGER);
}

/* The first line of that file of a thread; "" when it has ended. */
static void task_line(const char *tid, const char *file, char line[LINE])
{
  char path[LINE];
  FILE *f;

  snprintf(path, sizeof path, "/proc/self/task/%s/%s", tid, file);
  f = fopen(path, "r");
  if (!f || !fgets(line, LINE, f))
    line[0] = '\0';
  if (f)
    fclose(f);
}

static int one(const char *tid)
{
  (void)tid;
  return 1;
}

/* Adds up what fn says of each of that name. */
static int sum_of(const char *name, int (*fn)(const char *tid))
{
  DIR *dir = opendir("/proc/self/task");
  int sum = 0;
  char line[LINE];

  ck_assert_ptr_nonnull(dir);
  for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
    if (e->d_name[0] == '.')
      continue;
    task_line(e->d_name, "comm", line);
    if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == '\n')
      sum += fn(e->d_name);
  }
  closedir(dir);
  return sum;
}

int threads_named(const char *name)
{
  return sum_of(name, one);
}

static int sleeps_in(const char *tid, long a, long b)
{
  char line[LINE];
  char *end;
  long number;

  task_line(tid, "syscall", line);
  number = strtol(line, &end, 10);
  return end > line && (number == a || number == b);
}

static int polls(const char *tid)
{
#ifdef SYS_poll
  return sleeps_in(tid, SYS_poll, SYS_ppoll);
#else
  return sleeps_in(tid, SYS_ppoll, SYS_ppoll);
#endif
}

/* With io=loop one of them waits for the reactor's descriptors meanwhile. */
static int is_parked(const char *tid)
{
#ifdef SYS_epoll_pwait2
  if (sleeps_in(tid, SYS_epoll_pwait2, SYS_epoll_pwait2))
    return 1;
#endif
  return sleeps_in(tid, SYS_futex, SYS_futex) || sleeps_in(tid, SYS_epoll_pwait, EPOLL_WAIT);
}

/* The last one is the thread that looks. */
static bool one_polls(void)
{
  int parked = sum_of(MEMBER, is_parked);

  return sum_of(MEMBER, polls) == 1 && parked + 2 == threads_named(MEMBER);
}

/* Who waits for a lock is not asleep for long. */
bool crowd_is_driven(void *none)
{
  (void)none;
  if (!one_polls())
    return false;
  sleep_ms(AGAIN_MS);
  return one_polls();
}

void check_crowd_is_driven(void)
{
  ck_assert_msg(wait_for(crowd_is_driven, NULL, SOON_MS), "of %d threads %d poll and %d are parked",
                threads_named(MEMBER), sum_of(MEMBER, polls), sum_of(MEMBER, is_parked));
}

/* ---- giving way ---- */

static atomic_uint turn_count;
static atomic_bool holding, brief;
static atomic_int held;

unsigned turns(void)
{
  return atomic_load(&turn_count);
}

void turns_hold(bool on)
{
  atomic_store(&holding, on);
}

void turns_brief(bool on)
{
  atomic_store(&brief, on);
}

int turns_held(void)
{
  return atomic_load(&held);
}

static bool may_turn(void *none)
{
  (void)none;
  return !atomic_load(&holding);
}

/* In place of the C library's. */
int sched_yield(void)
{
  atomic_fetch_add(&turn_count, 1);
  if (atomic_load(&holding)) {
    atomic_fetch_add(&held, 1);
    wait_for(may_turn, NULL, SOON_MS);
    atomic_fetch_sub(&held, 1);
  }
  return atomic_load(&brief) ? 0 : (int)syscall(SYS_sched_yield);
}

/* ---- stopped ---- */

enum { NOBODY = -1 };
static atomic_int stop_at = NOBODY;
static atomic_bool stopped;
static _Thread_local int locks_left = NOBODY;

void driver_stop_at(int locks)
{
  atomic_store(&stop_at, locks);
}

static bool may_go_on(void *none)
{
  (void)none;
  return !atomic_load(&stopped);
}

static bool is_stopped(void *none)
{
  return !may_go_on(none);
}

void check_driver_is_stopped(void)
{
  ck_assert_msg(wait_for(is_stopped, NULL, SOON_MS), "no driver stops");
}

void driver_go_on(void)
{
  atomic_store(&stopped, false);
}

static void stop_here(void)
{
  int saved = errno;

  atomic_store(&stopped, true);
  wait_for(may_go_on, NULL, SOON_MS);
  errno = saved;
}

void driver_note_unlock(void)
{
  if (locks_left > 0 && --locks_left == 0)
    stop_here();
}

/* ---- poll and ppoll ---- */

static void note_woken(int ready)
{
  int locks = atomic_load(&stop_at);

  if (locks == NOBODY || ready <= 0 || !is_thread(MEMBER) ||
      !atomic_compare_exchange_strong(&stop_at, &locks, NOBODY))
    return;
  locks_left = locks;
  if (locks == 0)
    stop_here();
}

static int poll_for(struct pollfd *fds, nfds_t n, struct timespec *left, const sigset_t *mask)
{
  int ready = (int)syscall(SYS_ppoll, fds, n, left, mask, _NSIG / 8);

  note_woken(ready);
  return ready;
}

/* In place of the C library's: the second of each where it checks the size of what it is given. */
int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
  struct timespec left = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};

  return poll_for(fds, n, timeout_ms < 0 ? NULL : &left, NULL);
}

int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
  struct timespec left = timeout ? *timeout : (struct timespec){0};

  return poll_for(fds, n, timeout ? &left : NULL, mask);
}

int __poll_chk(struct pollfd *, nfds_t, int, size_t);
int __poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t size)
{
  (void)size;
  return poll(fds, n, timeout_ms);
}

int __ppoll_chk(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *, size_t);
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask,
                size_t size)
{
  (void)size;
  return ppoll(fds, n, timeout, mask);
}

#endif
