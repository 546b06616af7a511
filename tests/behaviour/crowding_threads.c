/* SPDX-License-Identifier: BSD-3-Clause */
/* crowding_threads.c - see crowding.h: what readers do is looked up in /proc; ppoll(), with which
 * the library waits for a little time, is this file's, so that a reader can be stopped there. */
#include "behaviour/crowding.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LINE = 256, HOUR_S = 3600 };
static const char READER[] = "pmx-reader";

/* ---- threads ---- */

bool is_thread(const char *name)
{
  char mine[16] = "";

  prctl(PR_GET_NAME, mine);
  return strcmp(mine, name) == 0;
}

/* The first line of that file of a thread which begins so; "" when it has ended. */
static void task_line(const char *tid, const char *file, const char *begin, char line[LINE])
{
  char path[LINE];
  FILE *f;
  bool found = false;

  snprintf(path, sizeof path, "/proc/self/task/%s/%s", tid, file);
  f = fopen(path, "r");
  while (f && !found && fgets(line, LINE, f))
    found = strncmp(line, begin, strlen(begin)) == 0;
  if (f)
    fclose(f);
  if (!found)
    line[0] = '\0';
}

/* Adds up what fn says of each of that name. */
static uint64_t sum_of(const char *name, uint64_t (*fn)(const char *tid))
{
  DIR *dir = opendir("/proc/self/task");
  uint64_t sum = 0;
  char line[LINE];

  ck_assert_ptr_nonnull(dir);
  for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
    task_line(e->d_name, "comm", name, line);
    if (line[0] && line[strlen(name)] == '\n')
      sum += fn(e->d_name);
  }
  closedir(dir);
  return sum;
}

static uint64_t sum_of_readers(uint64_t (*fn)(const char *tid))
{
  return sum_of(READER, fn);
}

static uint64_t one(const char *tid)
{
  (void)tid;
  return 1;
}

int threads_named(const char *name)
{
  return (int)sum_of(name, one);
}

static bool sleeps_in(const char *tid, long a, long b)
{
  char line[LINE];
  char *end;
  long number;

  task_line(tid, "syscall", "", line);
  number = strtol(line, &end, 10);
  return end > line && (number == a || number == b);
}

static uint64_t polls(const char *tid)
{
#ifdef SYS_poll
  return sleeps_in(tid, SYS_poll, SYS_ppoll);
#else
  return sleeps_in(tid, SYS_ppoll, SYS_ppoll);
#endif
}

static uint64_t is_parked(const char *tid)
{
  return sleeps_in(tid, SYS_futex, SYS_futex);
}

static uint64_t switches(const char *tid)
{
  static const char begin[] = "voluntary_ctxt_switches:";
  char line[LINE];

  task_line(tid, "status", begin, line);
  return line[0] ? strtoull(line + strlen(begin), NULL, 10) : 0;
}

int readers(void)
{
  return threads_named(READER);
}

static bool are_readers(void *n)
{
  return readers() == *(int *)n;
}

void check_readers(int n)
{
  ck_assert_msg(wait_for(are_readers, &n, SOON_MS), "%d readers, not %d", readers(), n);
}

bool reader_reads(void *none)
{
  (void)none;
  return sum_of_readers(polls) > 0;
}

void check_reader_reads(void)
{
  ck_assert_msg(wait_for(reader_reads, NULL, SOON_MS), "no reader reads");
}

bool reader_is_away(void *none)
{
  uint64_t parked = sum_of_readers(is_parked);

  (void)none;
  return parked > 0 && parked == sum_of_readers(one);
}

void check_reader_is_away(void)
{
  ck_assert_msg(wait_for(reader_is_away, NULL, SOON_MS), "a reader does not go");
}

uint64_t reader_switches(void)
{
  return sum_of_readers(switches);
}

/* ---- stopped ---- */

static _Atomic enum reader_stop stop_at;
static atomic_bool stopped;

void reader_stop_at(enum reader_stop where)
{
  atomic_store(&stop_at, where);
}

static bool may_go_on(void *none)
{
  (void)none;
  return !atomic_load(&stopped);
}

bool reader_is_stopped(void *none)
{
  return !may_go_on(none);
}

void check_reader_is_stopped(void)
{
  ck_assert_msg(wait_for(reader_is_stopped, NULL, SOON_MS), "no reader stops");
}

void reader_stop_here(void)
{
  int saved = errno;

  atomic_store(&stopped, true);
  wait_for(may_go_on, NULL, SOON_MS);
  errno = saved;
}

void reader_go_on(void)
{
  atomic_store(&stopped, false);
}

/* ---- ppoll ---- */

static atomic_bool patient;

void readers_are_patient(bool on)
{
  atomic_store(&patient, on);
}

static int poll_as_reader(struct pollfd *fds, nfds_t n, struct timespec *timeout,
                          const sigset_t *mask)
{
  enum reader_stop where;
  int ready;

  if (timeout && atomic_load(&patient))
    timeout->tv_sec = HOUR_S;
  ready = (int)syscall(SYS_ppoll, fds, n, timeout, mask, _NSIG / 8);
  where = ready > 0 ? STOP_WOKEN : STOP_LATE;
  if (ready >= 0 && atomic_compare_exchange_strong(&stop_at, &where, STOP_NOWHERE))
    reader_stop_here();
  return ready;
}

static int poll_for(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
                    const sigset_t *mask)
{
  struct timespec left = timeout ? *timeout : (struct timespec){0};
  struct timespec *limit = timeout ? &left : NULL;

  if (is_thread(READER))
    return poll_as_reader(fds, n, limit, mask);
  return (int)syscall(SYS_ppoll, fds, n, limit, mask, _NSIG / 8);
}

/* In place of the C library's: the second where it checks the size of what it is given. */
int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
  return poll_for(fds, n, timeout, mask);
}

int __ppoll_chk(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *, size_t);
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask,
                size_t size)
{
  (void)size;
  return poll_for(fds, n, timeout, mask);
}
