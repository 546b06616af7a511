/* SPDX-License-Identifier: BSD-3-Clause */
/* transport.h - one byte stream to a server: TCP or Unix socket. Non-blocking, close-on-exec, no
 * SIGPIPE. The only door to sockets; replaced at link time by the simulator.
 *
 * A transport object lives as long as its client and carries many connections one after the other;
 * its kick descriptor lives as long as the object, so kicking is safe from any thread, any time.
 * Everything else: one thread at a time (the link's owner). */
#ifndef PMX_NET_TRANSPORT_H
#define PMX_NET_TRANSPORT_H
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum net_events {
  NET_IN = 1,
  NET_OUT = 2,
  NET_KICK = 4 /* somebody called transport_kick; consumed by reporting it */
};

/* Results of send and recv below zero. */
enum { NET_AGAIN = -1, NET_EOF = -2, NET_ERROR = -3 /* transport.err = errno */ };

enum net_probe {
  NET_QUIET,    /* open, nothing to read */
  NET_READABLE, /* bytes nobody asked for are waiting */
  NET_GONE      /* closed or broken */
};

struct address; /* one socket address; see resolve.h */

struct net_options {
  int64_t keepalive_ns;    /* idle time before TCP keepalive probes, 0 = off; then every third of it,
                              at least 1 s, 3 times */
  int64_t user_timeout_ns; /* TCP_USER_TIMEOUT, 0 = the system's */
  int64_t receive_buffer;  /* SO_RCVBUF, bytes; 0 = the system's */
};

struct transport {
  int fd;      /* -1 = closed */
  int kick_fd; /* eventfd */
  int err;      /* errno of the last failed connect, or NET_ERROR of anything but sending */
  int send_err; /* errno of the last NET_ERROR of sending, which another thread may do meanwhile */
};

int transport_init(struct transport *); /* 0 or errno; makes the kick descriptor */
void transport_destroy(struct transport *);
/* Starts connecting; 0 = started or done, else errno. */
int transport_connect(struct transport *, const struct address *, const struct net_options *);
/* After NET_OUT: 0 = established, EINPROGRESS = not yet, else errno. */
int transport_connected(struct transport *);
ssize_t transport_send(struct transport *, const void *, size_t); /* > 0, NET_AGAIN, NET_ERROR */
ssize_t transport_recv(struct transport *, void *, size_t); /* > 0, NET_AGAIN, NET_EOF, NET_ERROR */
enum net_probe transport_probe(struct transport *);         /* one system call, no wait */
/* Waits for any of `events` (NET_KICK always counts); 0 = the deadline passed. */
unsigned transport_wait(struct transport *, unsigned events, int64_t deadline_ns);
void transport_kick(struct transport *); /* Thread: any. Wakes its current or next wait. */
void transport_hang_up(struct transport *); /* nothing more goes in or out; stays open: a wait ends */
void transport_close(struct transport *); /* idempotent; keeps the kick descriptor */
const char *transport_error_text(int err, char *buf, size_t size); /* thread-safe strerror */

#endif
