/* SPDX-License-Identifier: BSD-3-Clause */
/* scale_parts.h - what the parts of poolmux-scale share: what memory both sides have, by turns, and
 * the server, which is made to hold its answers back. */
#ifndef BENCH_SCALE_PARTS_H
#define BENCH_SCALE_PARTS_H
#include <poolmux/poolmux.h>
#include <hiredis/hiredis.h>

struct scale {
  const char *url;
  const char *tls_url; /* NULL: no TLS here */
  redisContext *control;
  int quick; /* 1: nothing waits until buffers have shrunk */
};

/* ---- memory, in bytes ---- */
struct memory {
  double heap;     /* what this process has from malloc */
  double resident; /* its own pages that are in memory */
  double server;   /* the server's used_memory */
  double peak;     /* and the most there was since it was started */
};
void memory_look(const struct scale *, struct memory *ret);
void memory_before(const struct scale *, struct memory *ret);
void memory_settled(const struct scale *,
                    struct memory *ret); /* waits until the server shrinks no more */
/* Prints what `now` has more than `before`, for each of n. */
void memory_print(const char *what, const struct memory *before, const struct memory *now, long n);

/* ---- the server ---- */
double server_figure(const struct scale *, const char *section, const char *field);
void server_does(const struct scale *,
                 const char *command);  /* ends the program unless it is done */
void server_hold(const struct scale *); /* writes are not answered any more */
void server_go_on(const struct scale *);
double server_queries(const struct scale *); /* bytes of commands read and not run, all clients */

/* ---- clients ---- */
pmx_client *scale_open(const char *url,
                       const char *options); /* ends the program if there is none */
void scale_sleep_ms(long);
void scale_failed(const char *what, const char *why); /* ends the program */

/* ---- the tables ---- */
void scale_lane(const struct scale *);
void scale_connections(const struct scale *, long most);
void scale_flights(const struct scale *, long most);
void scale_pace(const struct scale *, long most, long calls);

#endif
