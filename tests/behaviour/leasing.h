/* SPDX-License-Identifier: BSD-3-Clause */
/* leasing.h - what the tests of leases, sessions and closing share: leases that must be had, what
 * the server knows of their connections, events counted, and calls that run in the background. Sees
 * the public header only. */
#ifndef LEASING_H
#define LEASING_H
#include <poolmux/poolmux.h>
#include <pthread.h>
#include <stdbool.h>

#include "harness/server.h"
#include "harness/util.h"

/* ---- leases ---- */
pmx_lease *take(pmx_client *);   /* a lease, or the test fails */
void give_back(pmx_lease *);     /* returned, or the test fails */
int64_t lease_id(pmx_lease *);   /* the server's number of its connection */
int64_t client_id(pmx_client *); /* of the connection that a plain call has got */
int64_t client_id_alone(pmx_client *); /* that a call with flags_alone() has got */
/* The fields of CLIENT INFO that a session can change, one line; free() it. */
char *session_of(pmx_lease *);
/* Commands as words between blanks. */
pmx_reply *lease_words(pmx_lease *, const char *command);
pmx_reply *call_words(pmx_client *, const char *command);
void lease_ok(pmx_lease *, const char *command); /* any answer but an error */

/* ---- events, counted on the client's thread ---- */
enum { EVENT_TYPES = PMX_EVENT_DROPPED + 1 };
struct seen {
  pthread_mutex_t mutex;
  unsigned count[EVENT_TYPES];
  char detail[EVENT_TYPES][256]; /* of the last one */
};
void seen_init(struct seen *);
void seen_event(void *seen, const pmx_event *); /* a pmx_event_fn */
unsigned seen_count(struct seen *, pmx_event_type);
bool seen_reaches(struct seen *, pmx_event_type, unsigned count, int64_t timeout_ms);

/* ---- one command in a thread of its own ---- */
struct waiting {
  pmx_client *client;
  pmx_lease *lease;    /* or NULL: a plain call */
  const char *command; /* NULL: pmx_acquire, and pmx_release */
  pmx_call call;
  pmx_reply *reply; /* from waiting_end on; NULL after a lease that was had */
  int64_t ended_ms; /* on now_ms() */
  struct background *thread;
};
/* Fill client, lease and command, and call unless it is the default. */
void waiting_start(struct waiting *);
pmx_reply *waiting_end(struct waiting *); /* joins; the reply is the caller's */

/* ---- the server ---- */
void check_clients(struct server *, int64_t count); /* waits until so many are connected */
bool server_has(struct server *, const char *info_field, int64_t value, int64_t timeout_ms);
void server_ask(struct server *, const char *command); /* any answer but an error */

#endif
