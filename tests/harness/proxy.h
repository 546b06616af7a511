/* SPDX-License-Identifier: BSD-3-Clause */
/* proxy.h - a network that can be broken on purpose: forwards bytes between a client and a real (or
 * fake) server and does to them what the test says. One thread of its own. Knows nothing of the
 * library; of RESP only where a reply ends.
 *
 * Every function may be called by any thread at any time. A fault holds for all connections, those
 * to come included, from the moment the call returns until it is taken back. */
#ifndef HARNESS_PROXY_H
#define HARNESS_PROXY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "over.h"

struct proxy;

enum proxy_way { PROXY_TO_SERVER, PROXY_TO_CLIENT };
enum { PROXY_WAYS = 2 };

struct proxy_options {
  enum over over; /* whether to listen at a Unix socket instead of TCP on 127.0.0.1 */
  uint64_t seed;  /* of the jitter */
};

/* The target is "redis://127.0.0.1:PORT", "unix:///PATH", or one of these with TLS, which passes
 * through: the proxy's URL says so as well, and what it does it does to the raw bytes. */
struct proxy *proxy_start(const char *target_url,
                          const struct proxy_options *); /* NULL = defaults */
void proxy_stop(struct proxy *);                    /* closes everything, joins the thread, frees */
const char *proxy_url(const struct proxy *);        /* where clients connect */
uint16_t proxy_port(const struct proxy *);          /* 0 = Unix socket */
void proxy_target(struct proxy *, const char *url); /* of connections to come */

/* ---- faults of one direction ---- */
/* Each block of bytes arrives ms + random(0 … jitter_ms) later; order is kept. */
void proxy_delay(struct proxy *, enum proxy_way, int ms, int jitter_ms);
/* Closes both sides as soon as exactly n bytes were forwarded that way: counted from now on open
 * connections, from the start on later ones. After `times` cuts it is over; times 0 = never over.
 * n < 0 takes it back. What arrived before a close stays readable. */
void proxy_cut(struct proxy *, enum proxy_way, int64_t n, unsigned times);
void proxy_slice(struct proxy *, enum proxy_way, size_t bytes); /* one send() each; 0 = off */
void proxy_stall(struct proxy *, enum proxy_way,
                 bool on); /* nothing is read or forwarded that way */
void proxy_rate(struct proxy *, enum proxy_way, int64_t bytes_per_second); /* 0 = no limit */

/* ---- faults of connections ---- */
/* Stalls both ways; connections accepted meanwhile never reach a server, and stay so for good. */
void proxy_silence(struct proxy *, bool on);
void proxy_refuse(struct proxy *, bool on); /* new connects are refused; open ones live on */
void proxy_reset(struct proxy *); /* RST on both sides of all connections; a Unix socket closes */
void proxy_close(struct proxy *); /* the same, politely */

/* ---- faults of replies ---- */
enum proxy_mangle { PROXY_DROP, PROXY_DUPLICATE, PROXY_SWAP };
/* Once: after `skip` more whole replies, drops the next one, sends it twice, or holds it back until
 * the one after it has passed. Pushes are no replies. Not through TLS. */
void proxy_mangle(struct proxy *, enum proxy_mangle, unsigned skip);

void proxy_heal(struct proxy *); /* takes back every fault; what was held back is sent */

struct proxy_counts {
  size_t accepted, open;
  size_t failed;              /* the server could not be reached: the client is reset */
  uint64_t bytes[PROXY_WAYS]; /* forwarded */
  size_t cuts, mangled;       /* faults that happened */
};
struct proxy_counts proxy_counts(struct proxy *);
bool proxy_wait_open(struct proxy *, size_t n, int timeout_ms); /* exactly n connections are open */

#endif
