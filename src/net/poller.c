/* SPDX-License-Identifier: BSD-3-Clause */
/* poller.c - owns one epoll set and its wake-up. Knows nothing of who is behind a tag, and holds no
 * transport: whoever closes one takes it out first. */
#include "net/poller.h"
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "net/fdtable.h"

enum { BATCH = 64 };

struct poller {
  int epoll_fd, wake_fd, timer_fd;
  int loop_fd, call_fd; /* the application's: an epoll set, of epoll_fd and call_fd */
  int64_t timer_due; /* the timer will tell by then; TIME_FOREVER: it is off */
  atomic_int awake;  /* a wake-up is under way: more of them cost nothing */
  atomic_int called; /* the same for call_fd */
  atomic_int coarse; /* the kernel has no epoll_pwait2 */
};

static int keep(int fd, int *ret)
{
  if (fd < 0)
    return errno;
  if (fdtable_add(fd) < 0) {
    close(fd);
    return ENOMEM;
  }
  *ret = fd;
  return 0;
}

static int control(int set_fd, int op, int fd, unsigned events, void *tag)
{
  struct epoll_event ev = {.data.ptr = tag};

  ev.events =
      (events & NET_IN ? (uint32_t)EPOLLIN : 0) | (events & NET_OUT ? (uint32_t)EPOLLOUT : 0);
  return epoll_ctl(set_fd, op, fd, &ev) < 0 ? errno : 0;
}

static int open_loop(struct poller *p)
{
  int err = keep(epoll_create1(EPOLL_CLOEXEC), &p->loop_fd);

  if (!err)
    err = keep(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), &p->call_fd);
  if (!err)
    err = control(p->loop_fd, EPOLL_CTL_ADD, p->call_fd, NET_IN, NULL);
  return err ? err : control(p->loop_fd, EPOLL_CTL_ADD, p->epoll_fd, NET_IN, NULL);
}

int poller_open(int loop, struct poller **ret)
{
  struct poller *p = mem_zalloc(sizeof *p);
  int err;

  if (!p)
    return ENOMEM;
  p->epoll_fd = p->wake_fd = p->timer_fd = p->loop_fd = p->call_fd = -1;
  p->timer_due = TIME_FOREVER;
  err = keep(epoll_create1(EPOLL_CLOEXEC), &p->epoll_fd);
  if (!err)
    err = keep(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), &p->wake_fd);
  if (!err)
    err = control(p->epoll_fd, EPOLL_CTL_ADD, p->wake_fd, NET_IN, p);
  if (!err && loop)
    err = open_loop(p);
  if (err)
    poller_close(p);
  else
    *ret = p;
  return err;
}

void poller_close(struct poller *p)
{
  if (!p)
    return;
  fdtable_close(p->loop_fd);
  fdtable_close(p->call_fd);
  fdtable_close(p->timer_fd);
  fdtable_close(p->wake_fd);
  fdtable_close(p->epoll_fd);
  mem_free(p);
}

int poller_set(struct poller *p, struct transport *t, unsigned old_events, unsigned events,
               void *tag)
{
  if (!events) {
    /* A socket that was closed has left the set by itself. */
    if (old_events && t->fd >= 0)
      (void)control(p->epoll_fd, EPOLL_CTL_DEL, t->fd, 0, tag);
    return 0;
  }
  return control(p->epoll_fd, old_events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, t->fd, events, tag);
}

/* -1 with errno ENOSYS or EPERM: not on this kernel, or not in this sandbox. */
static int wait_fine(const struct poller *p, struct epoll_event *ev, int max, int64_t ns)
{
#ifdef SYS_epoll_pwait2
  struct {
    int64_t sec, nsec;
  } left = {ns / NS_PER_S, ns % NS_PER_S};

  return (int)syscall(SYS_epoll_pwait2, p->epoll_fd, ev, max, &left, NULL, (size_t)0);
#else
  (void)p, (void)ev, (void)max, (void)ns;
  errno = ENOSYS;
  return -1;
#endif
}

static int wait_raw(struct poller *p, struct epoll_event *ev, int max, int64_t deadline)
{
  int64_t now, ns, ms;
  int n;

  if (deadline == TIME_FOREVER)
    return epoll_wait(p->epoll_fd, ev, max, -1);
  now = clock_ns();
  if (deadline <= now)
    return epoll_wait(p->epoll_fd, ev, max, 0);
  ns = deadline - now;
  if (!atomic_load_explicit(&p->coarse, memory_order_relaxed)) {
    n = wait_fine(p, ev, max, ns);
    if (n >= 0 || (errno != ENOSYS && errno != EPERM))
      return n;
    atomic_store_explicit(&p->coarse, 1, memory_order_relaxed);
  }
  ms = ns / NS_PER_MS + (ns % NS_PER_MS != 0);
  return epoll_wait(p->epoll_fd, ev, max, ms < INT_MAX ? (int)ms : INT_MAX);
}

/* An eventfd with a flag that spares the system calls while it is set. */
static void ring(int fd, atomic_int *flag)
{
  const uint64_t one = 1;
  int saved = errno;
  ssize_t n;

  if (atomic_exchange(flag, 1))
    return;
  do
    n = write(fd, &one, sizeof one);
  while (n < 0 && errno == EINTR);
  errno = saved;
}

/* 1: it was rung. */
static int empty(int fd)
{
  uint64_t times;
  ssize_t n;

  do
    n = read(fd, &times, sizeof times);
  while (n < 0 && errno == EINTR);
  return n > 0;
}

/* Empties the descriptor before the flag: whoever found the flag set did so before we return. */
static void consume_wake(struct poller *p)
{
  empty(p->wake_fd);
  atomic_exchange(&p->awake, 0);
}

static void consume_timer(struct poller *p)
{
  uint64_t times;

  (void)!read(p->timer_fd, &times, sizeof times);
  p->timer_due = TIME_FOREVER;
}

static unsigned events_of(uint32_t found)
{
  unsigned events = 0;

  if (found & EPOLLIN)
    events |= NET_IN;
  if (found & EPOLLOUT)
    events |= NET_OUT;
  if (found & (EPOLLERR | EPOLLHUP))
    events |= NET_IN | NET_OUT;
  return events;
}

int poller_wait(struct poller *p, struct poller_event *ev, int max, int64_t deadline_ns)
{
  struct epoll_event found[BATCH];
  int n, count = 0;

  n = wait_raw(p, found, max < BATCH ? max : BATCH, deadline_ns);
  for (int i = 0; i < n; i++) {
    if (found[i].data.ptr == p) {
      consume_wake(p);
      continue;
    }
    if (found[i].data.ptr == &p->timer_fd) {
      consume_timer(p);
      continue;
    }
    ev[count].tag = found[i].data.ptr;
    ev[count].events = events_of(found[i].events);
    count++;
  }
  return count;
}

int poller_fd(const struct poller *p)
{
  return p->loop_fd;
}

/* The flag is kept while the descriptor is still to be written by whoever set it: it is answered
 * once more then. */
void poller_call(struct poller *p, int on)
{
  if (on)
    ring(p->call_fd, &p->called);
  else if (atomic_load(&p->called) && empty(p->call_fd))
    atomic_exchange(&p->called, 0);
}

/* -1: there is none to be had. */
static int make_timer(struct poller *p)
{
  if (p->timer_fd >= 0)
    return 0;
  if (keep(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), &p->timer_fd) != 0)
    return -1;
  return control(p->epoll_fd, EPOLL_CTL_ADD, p->timer_fd, NET_IN, &p->timer_fd) == 0 ? 0 : -1;
}

void poller_set_timer(struct poller *p, int64_t due)
{
  struct itimerspec when = {
      .it_value = {.tv_sec = (time_t)(due / NS_PER_S), .tv_nsec = (long)(due % NS_PER_S)}};

  /* One that comes too early costs a look, setting it a system call. */
  if (due >= p->timer_due)
    return;
  if (make_timer(p) != 0 || timerfd_settime(p->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) != 0)
    poller_wake(p); /* better too often than never */
  else
    p->timer_due = due;
}

void poller_wake(struct poller *p)
{
  ring(p->wake_fd, &p->awake);
}
