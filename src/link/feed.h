/* SPDX-License-Identifier: BSD-3-Clause */
/* feed.h - a link on which the server speaks unasked: nothing is matched, each reply is handed to
 * its taker as it comes. Belongs to the reactor's thread altogether, and has no lock.
 *
 * Dialled like any link (link_dial on `link`); then feed_up. It ends with lost(), once: by itself,
 * or after feed_end. Of what is written it asks its owner, who is told to fill a buffer when the
 * one before is on its way. */
#ifndef PMX_LINK_FEED_H
#define PMX_LINK_FEED_H
#include "link/link.h"

enum { FEED_BUFFER = 128 * 1024 };

struct feed {
  struct link link;
  struct source watch;
  char *out;
  size_t out_len, out_sent;
  uint64_t moved; /* how often bytes went either way, on all connections */
  /* its owner's; none may destroy it */
  void (*take)(struct feed *, pmx_reply *);              /* the reply is the owner's */
  size_t (*fill)(struct feed *, char *buf, size_t size); /* how many bytes; 0 = nothing to say */
  void (*lost)(struct feed *);                           /* closed; link.conn says why */
};

int feed_init(struct feed *,
              struct link_env *); /* 0 or errno; the three functions are yet to set */
void feed_destroy(struct feed *);
void feed_up(struct feed *);                               /* its link has logged in */
void feed_flush(struct feed *);                            /* there is something to say */
void feed_end(struct feed *, pmx_cause, const char *text); /* lost() before it returns */
/* For take(): this is no stream that can be read on. lost() follows. */
void feed_poison(struct feed *, pmx_cause, const char *text);
int feed_unsent(const struct feed *);

#endif
