/* SPDX-License-Identifier: BSD-3-Clause */
/* proxy_pair.c - one proxied connection: its two sockets, reading, forwarding under the faults that
 * hold at the moment, closing. Knows nothing of RESP. */
#include "proxy_impl.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 16384, QUEUE_LIMIT = 256 * 1024 };

static enum proxy_way opposite(enum proxy_way way)
{
  return way == PROXY_TO_SERVER ? PROXY_TO_CLIENT : PROXY_TO_SERVER;
}

void proxy_pair_accepted(struct proxy *p, int client_fd)
{
  struct proxy_pair *pair = harness_alloc(sizeof(*pair));

  pair->proxy = p;
  pair->fd[PROXY_TO_CLIENT] = client_fd;
  pair->fd[PROXY_TO_SERVER] = -1;
  for (int way = 0; way < PROXY_WAYS; way++)
    proxy_flow_init(&pair->flow[way], &p->fault[way]);
  p->pairs[p->pair_len++] = pair;
  p->counts.accepted++;
  p->counts.open++;
  pair->state = PAIR_SILENT;
  if (p->silence)
    return;
  pair->state = PAIR_CONNECTING;
  pair->fd[PROXY_TO_SERVER] = sock_connect_start(&p->target);
  if (pair->fd[PROXY_TO_SERVER] < 0) {
    p->counts.failed++;
    proxy_pair_close(pair, true);
  }
}

static void close_side(int *fd, bool reset)
{
  if (*fd < 0)
    return;
  if (reset)
    sock_reset(*fd);
  else
    sock_close(*fd);
  *fd = -1;
}

void proxy_pair_close(struct proxy_pair *pair, bool reset)
{
  if (pair->state == PAIR_CLOSED)
    return;
  close_side(&pair->fd[PROXY_TO_CLIENT], reset);
  close_side(&pair->fd[PROXY_TO_SERVER], reset);
  pair->state = PAIR_CLOSED;
  pair->proxy->counts.open--;
}

void proxy_pair_free(struct proxy_pair *pair)
{
  proxy_pair_close(pair, false);
  for (int way = 0; way < PROXY_WAYS; way++)
    proxy_flow_clear(&pair->flow[way]);
  free(pair);
}

/* ---- what to wait for ---- */

static bool is_stalled(const struct proxy_pair *pair, enum proxy_way way)
{
  return pair->proxy->silence || pair->proxy->fault[way].stalled;
}

static bool wants_input(const struct proxy_pair *pair, enum proxy_way way)
{
  const struct proxy_flow *flow = &pair->flow[way];

  return pair->state == PAIR_OPEN && !flow->ended && flow->queued < QUEUE_LIMIT &&
         !is_stalled(pair, way);
}

short proxy_pair_events(const struct proxy_pair *pair, enum proxy_way side)
{
  short events = 0;

  if (pair->state == PAIR_CONNECTING)
    return side == PROXY_TO_SERVER ? POLLOUT : 0;
  if (wants_input(pair, opposite(side)))
    events |= POLLIN;
  if (pair->state == PAIR_OPEN && pair->flow[side].blocked && !is_stalled(pair, side))
    events |= POLLOUT;
  return events;
}

static int64_t flow_due_us(const struct proxy_flow *flow)
{
  return flow->first->due_us > flow->next_us ? flow->first->due_us : flow->next_us;
}

int64_t proxy_pair_due_us(const struct proxy_pair *pair)
{
  int64_t due = INT64_MAX;

  for (int way = 0; way < PROXY_WAYS && pair->state == PAIR_OPEN; way++) {
    const struct proxy_flow *flow = &pair->flow[way];

    if (flow->first && !flow->blocked && !is_stalled(pair, (enum proxy_way)way) &&
        flow_due_us(flow) < due)
      due = flow_due_us(flow);
  }
  return due;
}

/* ---- work ---- */

static void finish_connect(struct proxy_pair *pair)
{
  int err = 0;
  socklen_t len = sizeof(err);

  if (getsockopt(pair->fd[PROXY_TO_SERVER], SOL_SOCKET, SO_ERROR, &err, &len) == 0 && err == 0) {
    pair->state = PAIR_OPEN;
    return;
  }
  pair->proxy->counts.failed++;
  proxy_pair_close(pair, true);
}

static void read_some(struct proxy_pair *pair, enum proxy_way way)
{
  char block[BLOCK];
  ssize_t n = recv(pair->fd[opposite(way)], block, sizeof(block), 0);

  if (n > 0)
    proxy_flow_feed(pair->proxy, &pair->flow[way], way, block, (size_t)n);
  else if (n == 0)
    pair->flow[way].ended = true;
  else if (errno != EAGAIN && errno != EINTR)
    proxy_pair_close(pair, true); /* a reset is passed on */
}

/* How much may be sent now with one send(). */
static size_t allowance(const struct proxy_flow *flow, const struct proxy_fault *fault)
{
  size_t n = flow->first->len - flow->first->sent;

  if (fault->slice > 0 && n > fault->slice)
    n = fault->slice;
  if (flow->cut_left != PROXY_NO_CUT && n > (size_t)flow->cut_left)
    n = (size_t)flow->cut_left;
  if (fault->rate > 0) {
    size_t share = (size_t)(fault->rate / 100 + 1); /* of 10 ms */

    n = n > share ? share : n;
  }
  return n;
}

static void count_sent(struct proxy_pair *pair, enum proxy_way way, size_t n)
{
  struct proxy_flow *flow = &pair->flow[way];
  struct proxy_chunk *chunk = flow->first;
  int64_t rate = pair->proxy->fault[way].rate;

  pair->proxy->counts.bytes[way] += n;
  flow->queued -= n;
  if (flow->cut_left != PROXY_NO_CUT)
    flow->cut_left -= (int64_t)n;
  flow->next_us = rate > 0 ? now_us() + (int64_t)n * 1000000 / rate : 0;
  chunk->sent += n;
  if (chunk->sent < chunk->len)
    return;
  flow->first = chunk->next;
  if (!flow->first)
    flow->last = &flow->first;
  free(chunk);
}

static void cut(struct proxy_pair *pair, enum proxy_way way)
{
  struct proxy *p = pair->proxy;
  struct proxy_fault *fault = &p->fault[way];

  proxy_pair_close(pair, false);
  p->counts.cuts++;
  if (fault->cut_times == 0 || --fault->cut_times > 0)
    return;
  fault->cut_at = PROXY_NO_CUT;
  for (size_t i = 0; i < p->pair_len; i++)
    p->pairs[i]->flow[way].cut_left = PROXY_NO_CUT;
}

static void forward(struct proxy_pair *pair, enum proxy_way way)
{
  struct proxy_flow *flow = &pair->flow[way];

  flow->blocked = false;
  while (pair->state == PAIR_OPEN && flow->cut_left != 0 && flow->first &&
         flow_due_us(flow) <= now_us()) {
    ssize_t n = send(pair->fd[way], flow->first->bytes + flow->first->sent,
                     allowance(flow, &pair->proxy->fault[way]), MSG_NOSIGNAL);

    if (n > 0) {
      count_sent(pair, way, (size_t)n);
    } else if (errno == EAGAIN) {
      flow->blocked = true;
      return;
    } else if (errno != EINTR) {
      proxy_pair_close(pair, true);
    }
  }
  if (pair->state != PAIR_OPEN)
    return;
  if (flow->cut_left == 0) {
    cut(pair, way);
  } else if (flow->ended && !flow->first && !flow->finished) {
    flow->finished = true;
    shutdown(pair->fd[way], SHUT_WR);
  }
}

void proxy_pair_work(struct proxy_pair *pair, const short revents[PROXY_WAYS])
{
  if (pair->state == PAIR_CONNECTING && revents[PROXY_TO_SERVER])
    finish_connect(pair);
  for (int w = 0; w < PROXY_WAYS; w++) {
    enum proxy_way way = (enum proxy_way)w;

    if (wants_input(pair, way) && (revents[opposite(way)] & (POLLIN | POLLHUP | POLLERR)))
      read_some(pair, way);
    if (pair->state == PAIR_OPEN && !is_stalled(pair, way))
      forward(pair, way);
  }
  if (pair->flow[PROXY_TO_CLIENT].finished && pair->flow[PROXY_TO_SERVER].finished)
    proxy_pair_close(pair, false);
}
