/* SPDX-License-Identifier: BSD-3-Clause */
/* doors_net.c - net/transport.h and net/poller.h for the simulator. Owns descriptors; the streams
 * behind them are network.c's. */
#include "net/transport.h"
#include "net/poller.h"
#include "sim/doors.h"
#include "sim/sim.h"
#include "sim/stream.h"
#include "base/mem.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_POLLER = 900, FIRST_SOCKET = 1000 };
enum { SOCKETS_MAX = 8192, KICKS_MAX = 512, WATCHED_MAX = 32 };

struct watched {
  int fd;
  unsigned events;
  void *tag;
  int blind; /* a mutant */
};

struct poller {
  struct watched watched[WATCHED_MAX];
  size_t count;
  int awake, called, fd;
  int64_t timer;
  struct poller *next;
};

static struct stream *sockets[SOCKETS_MAX]; /* NULL: closed */
static int socket_count, kick_count, descriptors;
static char kicks[KICKS_MAX]; /* kicked */
static struct poller *pollers;

void doors_reset(void)
{
  memset(sockets, 0, sizeof *sockets * (size_t)socket_count);
  memset(kicks, 0, sizeof kicks);
  socket_count = kick_count = descriptors = 0;
  pollers = NULL;
}

int doors_descriptors(void)
{
  return descriptors;
}

static void needs_no_lock(const char *what)
{
  if (*task_locks())
    fail("%s with a lock held", what);
}

struct stream *doors_stream(const struct transport *t)
{
  struct stream *s = t->fd < FIRST_SOCKET ? NULL : sockets[t->fd - FIRST_SOCKET];

  if (!s)
    fail("descriptor %d is used, which is not open", t->fd);
  return s;
}

int transport_init(struct transport *t)
{
  point();
  t->fd = t->kick_fd = -1;
  t->err = 0;
  if (chance(faults.shortage) || kick_count == KICKS_MAX)
    return EMFILE;
  t->kick_fd = kick_count++;
  descriptors++;
  return 0;
}

void transport_destroy(struct transport *t)
{
  transport_close(t);
  if (t->kick_fd >= 0)
    descriptors--;
  t->kick_fd = -1;
}

void transport_hang_up(struct transport *t)
{
  point();
  stream_hang_up(doors_stream(t));
}

static void forget(int fd)
{
  for (struct poller *p = pollers; p; p = p->next)
    for (size_t i = 0; i < p->count; i++)
      if (p->watched[i].fd == fd)
        p->watched[i--] = p->watched[--p->count];
}

void transport_close(struct transport *t)
{
  point();
  if (t->fd < 0)
    return;
  trace("closes conn %u", stream_id(doors_stream(t)));
  forget(t->fd);
  stream_close(doors_stream(t));
  sockets[t->fd - FIRST_SOCKET] = NULL;
  if (!mutates(MUTANT_KEPT_OPEN))
    descriptors--;
  t->fd = -1;
}

int transport_connect(struct transport *t, const struct address *a, const struct net_options *o)
{
  (void)a;
  (void)o;
  needs_no_lock("connects");
  transport_close(t);
  point();
  t->err = EMFILE;
  if (socket_count == SOCKETS_MAX || chance(faults.shortage))
    return t->err;
  sockets[socket_count] = stream_connect(&t->err);
  if (!sockets[socket_count])
    return t->err;
  trace("dials conn %u", stream_id(sockets[socket_count]));
  t->err = 0;
  t->fd = FIRST_SOCKET + socket_count++;
  descriptors++;
  return 0;
}

int transport_connected(struct transport *t)
{
  int err = stream_connected(doors_stream(t));

  if (err && err != EINPROGRESS)
    t->err = err;
  return err;
}

/* Where much happens at the same time, a thread may be slow just where it is on its own. */
static void others_go_first(void)
{
  point();
  if (faults.punctual)
    for (uint64_t n = choose(16); n > 0; n--)
      point();
}

ssize_t transport_send(struct transport *t, const void *bytes, size_t size)
{
  long n;

  needs_no_lock("sends");
  others_go_first();
  n = stream_send(doors_stream(t), bytes, size, &t->send_err);
  trace("conn %u: sends %ld of %zu", stream_id(doors_stream(t)), n, size);
  return n;
}

static int shown(long n)
{
  return faults.secure || n < 0 ? 0 : n > 200 ? 200 : (int)n;
}

ssize_t transport_recv(struct transport *t, void *buf, size_t size)
{
  long n;

  needs_no_lock("receives");
  point();
  n = stream_recv(doors_stream(t), buf, size, 0, &t->err);
  trace("conn %u: receives %ld %.*s", stream_id(doors_stream(t)), n, shown(n), (const char *)buf);
  return n;
}

enum net_probe transport_probe(struct transport *t)
{
  char byte;
  long n;

  needs_no_lock("probes");
  point();
  n = stream_recv(doors_stream(t), &byte, 1, 1, &t->err);
  if (n > 0)
    return NET_READABLE;
  return n == NET_AGAIN ? NET_QUIET : NET_GONE;
}

static unsigned ready_events(struct stream *s)
{
  return (stream_readable(s) ? (unsigned)NET_IN : 0) | (stream_writable(s) ? (unsigned)NET_OUT : 0);
}

struct socket_wait {
  struct transport *transport;
  unsigned events, found;
  int deaf; /* a mutant: does not see that there is room */
};

static int is_ready(void *arg)
{
  struct socket_wait *w = arg;

  w->found = kicks[w->transport->kick_fd] ? NET_KICK : 0;
  if (w->events)
    w->found |= ready_events(doors_stream(w->transport)) & w->events;
  if (w->found == NET_OUT && w->deaf)
    w->found = 0;
  return w->found != 0;
}

unsigned transport_wait(struct transport *t, unsigned events, int64_t deadline_ns)
{
  struct socket_wait w = {t, events & (NET_IN | NET_OUT), 0, mutates(MUTANT_NO_ROOM)};

  needs_no_lock("waits for a connection");
  if (chance(10) && faults.on && w.events) /* poll() may say ready, and recv() EAGAIN */
    return w.events;
  if (mutates(MUTANT_LATE_WAIT) && deadline_ns < SIM_FOREVER - SIM_S)
    deadline_ns += 5 * SIM_MS;
  do { /* what was ready may be gone by the time we run */
    if (!block("waits for a connection", is_ready, &w, deadline_ns))
      return 0;
  } while (!is_ready(&w));
  if (w.found & NET_KICK)
    kicks[t->kick_fd] = 0;
  return w.found;
}

void transport_kick(struct transport *t)
{
  point();
  if (t->kick_fd < 0)
    fail("a transport is kicked that was destroyed");
  trace("kicks %d", t->kick_fd);
  if (!mutates(MUTANT_LOST_KICK))
    kicks[t->kick_fd] = 1;
  changed();
}

const char *transport_error_text(int err, char *buf, size_t size)
{
  snprintf(buf, size, "error %d", err);
  return buf;
}

/* ---- poller ---- */

int poller_open(int loop, struct poller **ret)
{
  struct poller *p = chance(faults.shortage) ? NULL : mem_zalloc(sizeof *p);

  (void)loop;
  if (!p)
    return ENOMEM;
  p->fd = pollers ? pollers->fd + 1 : FIRST_POLLER;
  p->timer = SIM_FOREVER;
  p->next = pollers;
  pollers = p;
  descriptors += 2;
  *ret = p;
  return 0;
}

void poller_close(struct poller *p)
{
  struct poller **at_p = &pollers;

  if (!p)
    return;
  while (*at_p != p)
    at_p = &(*at_p)->next;
  *at_p = p->next;
  descriptors -= 2;
  mem_free(p);
}

static struct watched *watched_of(struct poller *p, int fd)
{
  for (size_t i = 0; i < p->count; i++)
    if (p->watched[i].fd == fd)
      return &p->watched[i];
  return NULL;
}

/* As epoll_ctl() does: what is wrong here is a mistake in the caller's books. */
int poller_set(struct poller *p, struct transport *t, unsigned old_events, unsigned events,
               void *tag)
{
  struct watched *w = watched_of(p, t->fd);

  if (!events) {
    if (w)
      *w = p->watched[--p->count];
    return 0;
  }
  doors_stream(t);
  if ((w != NULL) != (old_events != 0))
    fail("poller: conn is %swatched, and the reactor thinks otherwise", w ? "" : "not ");
  if (!w) {
    if (p->count == WATCHED_MAX || chance(faults.shortage)) {
      stream_unwatchable(doors_stream(t));
      return ENOMEM;
    }
    w = &p->watched[p->count++];
  }
  *w = (struct watched){t->fd, events, tag, mutates(MUTANT_UNWATCHED)};
  changed();
  return 0;
}

static unsigned found_at(const struct watched *w)
{
  if (w->blind)
    return 0;
  return ready_events(sockets[w->fd - FIRST_SOCKET]) & w->events;
}

static int poller_ready(void *arg)
{
  struct poller *p = arg;

  for (size_t i = 0; i < p->count; i++)
    if (found_at(&p->watched[i]))
      return 1;
  return p->awake || p->timer <= sim_now();
}

int poller_wait(struct poller *p, struct poller_event *ev, int max, int64_t deadline_ns)
{
  int n = 0;

  needs_no_lock("waits for the poller");
  if (chance(5))
    return 0; /* a signal */
  if (mutates(MUTANT_LATE_CLOCK) && deadline_ns < SIM_FOREVER - SIM_S)
    deadline_ns += 5 * SIM_MS;
  block("polls", poller_ready, p, deadline_ns);
  p->awake = 0;
  if (p->timer <= sim_now())
    p->timer = SIM_FOREVER;
  for (size_t i = 0; i < p->count && n < max; i++) {
    unsigned found = found_at(&p->watched[i]);

    if (found && (n == 0 || chance(700)))
      ev[n++] = (struct poller_event){p->watched[i].tag, found};
  }
  return n;
}

int poller_fd(const struct poller *p)
{
  return p->fd;
}

static void timer_rings(void *arg)
{
  (void)arg;
  changed();
}

void poller_call(struct poller *p, int on)
{
  point();
  if (!on || !mutates(MUTANT_LOST_POKE))
    p->called = on;
  changed();
}

void poller_set_timer(struct poller *p, int64_t due)
{
  point();
  if (due >= p->timer)
    return;
  p->timer = due;
  at(due, timer_rings, NULL, 0);
}

int doors_readable(int fd)
{
  struct poller *p = pollers;

  while (p && p->fd != fd)
    p = p->next;
  if (!p)
    fail("descriptor %d is watched, which is not open", fd);
  return p->called || poller_ready(p);
}

void poller_wake(struct poller *p)
{
  point();
  if (!mutates(MUTANT_LOST_POKE))
    p->awake = 1;
  changed();
}
