/* SPDX-License-Identifier: BSD-3-Clause */
/* stream.h - one connection, both ends: shared by network.c (how it comes and goes), stream.c (its
 * bytes), wire.c (what the library writes on it) and rest.c (what is owed to it). */
#ifndef PMX_SIM_STREAM_H
#define PMX_SIM_STREAM_H
#include "sim/secure.h"
#include "sim/sim.h"

#define SIM_NOTICED (300 * SIM_MS)             /* so soon the end of an idle connection is */
enum { LANE_UNKNOWN = -2, LANE_CONTROL = -3 }; /* as LANE_NONE: no lane */

/* Reads along what the library writes: where commands begin, and what their keys are. */
struct wire {
  enum { WIRE_ARGC, WIRE_LEN, WIRE_DATA } state;
  long args, need; /* arguments to come; bytes of this one, its end included */
  unsigned arg;
  size_t line_len, key_len;
  char line[24], key[48];
  int64_t begun_at; /* when the command of now was */
};

struct stream {
  unsigned id;
  int connected, refused, hangs; /* refused: errno */
  int open;                      /* the library's end */
  unsigned open_at;              /* its place in open_streams */
  int silent, eof, reset, finished;
  int full;         /* silent, and its window fills up */
  int64_t ended_at; /* when eof or reset was there to be seen */
  char *in;         /* has arrived at the library */
  size_t in_len, in_cap;
  size_t under_way, under_way_down;
  int64_t last_up, last_down;
  char *held; /* has arrived at a server that does not read on before its replies are read */
  size_t held_len, held_cap;
  struct session *session;
  struct secure *secure; /* the server's end of TLS; NULL: plain */
  /* the books of what is owed */
  struct wire wire;
  uint64_t begun, answered; /* commands; replies the library has read to their end */
  unsigned *asked;          /* their calls, 0: none; the command that was begun n-th is at n - 1 */
  size_t asked_cap;
  uint64_t said, read; /* bytes of the server */
  uint64_t *ends;      /* of its replies, those not read yet */
  size_t end_first, end_count, end_cap;
  int jammed;        /* the kernel takes nothing any more */
  int choked;        /* the kernel took less than it was offered */
  uint64_t offered;  /* rest_number when something was offered last */
  int unsure;        /* the library could not know how much of it was taken */
  int64_t used_at;   /* when a rest last found that somebody waits for it */
  int64_t moved_at;  /* when the library last sent or received something */
  int64_t looked_at; /* when it last wanted to receive, at which rest_number, and who did */
  uint64_t looked;
  const struct task *looked_by;
  int looked_by_library; /* by the client's own thread */
  int64_t excused;       /* until then nobody can watch it; SIM_FOREVER: its books are wrong */
  int lane;              /* which threads' calls it carries, or LANE_*; see oracle.c */
  int carried;           /* it is logged in */
  int retires;           /* the server says that it should not be used any more … */
  uint64_t retires_at;   /* … with the reply that ends here */
  /* as the last rest found it: rest_number, since when */
  uint64_t retired, crowded;
  uint64_t crowded_answered;
  /* TLS. What the library has sealed is sent, for it and for the books. */
  char *sealed; /* and has not been opened by the server */
  size_t sealed_len, sealed_cap;
  unsigned settings; /* network_settings when it was dialled */
  int64_t outdated;  /* then it must have gone, because of that; 0: need not */
  int leaving;       /* the library is about to close it */
  int hung_up;       /* it has shut it */
  enum { GOES_ON, BREAKS_OFF, BROKE_OFF } broken; /* the next answer ends in the middle; did */
  int stuck;           /* a changed byte may keep one side waiting for ever */
  int spoiled;         /* from this byte of the server on all is … */
  uint64_t spoiled_at; /* … lost */
  uint64_t over_at;    /* who has read so far knows that it is over; 0: it is not */
  uint64_t over_rest;  /* rest_number when it had */
  int64_t over_since;  /* it has */
  int64_t clogged;     /* until then the server does not read on */
};

extern struct stream *open_streams[]; /* those whose library's end is open */
extern unsigned open_count;
extern unsigned network_settings; /* how many times the library's were replaced, twice */

int64_t network_latency(void);
/* Some connection of which the library cannot know what was taken of its last bytes, `but` not. */
int network_is_unsure(const struct stream *but);
int network_lost_track(void); /* the same, of those that have ended */
/* Connections on which a command was begun whose key did not leave. */
unsigned network_half_heads(void);
void stream_free(struct stream *);
void stream_cut(void *stream);      /* a reset arrives at the library */
void stream_end(void *stream);      /* the end does */
void stream_stray(struct stream *); /* a reply that nobody asked for is there */
void stream_left(void *stream);     /* the server learns that the library has closed it */

/* What is on the wire: as it is. */
void stream_say(struct stream *, const char *bytes, size_t len, int64_t not_before);

void stream_is_there(struct stream *, const char *bytes, size_t len); /* at once */

/* sealed.c: TLS. What the server gets and says; what may happen to it. */
void stream_unseal(struct stream *, const char *raw, size_t len);
void stream_seal(struct stream *, const char *bytes, size_t len, int64_t not_before);
void stream_seal_there(struct stream *, const char *bytes, size_t len);
void stream_say_goodbye(struct stream *);
void sealed_check(const struct stream *, int owes, int left); /* at rest */
void stream_spoil(struct stream *, char *raw, size_t len);
void stream_offered(struct stream *); /* somebody is about to seal */
void stream_sealed(struct stream *, const char *bytes, size_t n);
void stream_leaves(struct stream *);

/* oracle.c: what it writes says whose it is. */
void oracle_carries(struct stream *, int lane);

/* wire.c: n bytes were taken by the kernel, or with TLS: were sealed. */
void wire_read(struct stream *, const char *bytes, size_t n);

#endif
