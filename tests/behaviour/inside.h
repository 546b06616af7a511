/* SPDX-License-Identifier: BSD-3-Clause */
/* inside.h - something that is done inside an event or log callback, on the client's own thread, at
 * a moment when the client has just lost its connections. */
#ifndef INSIDE_H
#define INSIDE_H
#include <check.h>
#include <stdatomic.h>

#include "behaviour/behaviour.h"
#include "behaviour/leasing.h"

/* The loss of a connection, found by a keepalive PING, runs `run` once inside a callback; by then
 * there is no connection. */
struct inside {
  struct server *server;
  pmx_client *client;
  void (*run)(struct inside *);
  _Atomic int armed, done, paused;
  pmx_reply *reply;
  pmx_cancel *token;
  const char *url; /* of the server */
  int result;
  int64_t took_ms;
};

enum { BY_EVENT, BY_LOG, MANNERS };
/* In the test: open_inside(…, _i), strategy_inside(_i). traits 0: for all strategies. */
void add_for_manners(TCase *, const TTest *, unsigned traits);
const char *strategy_inside(int i);
void open_inside(struct inside *, int i);
void end_inside(struct inside *);
/* Loses the connections and returns when `run` has come back. */
void run_inside(struct inside *, void (*run)(struct inside *));
/* The same for in->run = call_for_long, and returns when it waits for its answer. */
void start_inside(struct inside *);
bool inside_done(void *inside);

/* ---- what may be run: calls that the server does not answer, in->reply ---- */
void call_in_vain(struct inside *, const pmx_call *);
void call_for_long(struct inside *); /* with in->token */

#endif
