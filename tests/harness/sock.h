/* SPDX-License-Identifier: BSD-3-Clause */
/* sock.h - sockets of the harness: loopback TCP and Unix, all close-on-exec. Shared by the server
 * starter, the fake server and the proxy; knows nothing of RESP. */
#ifndef HARNESS_SOCK_H
#define HARNESS_SOCK_H
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct sock_address {
  union {
    struct sockaddr any;
    struct sockaddr_in tcp;
    struct sockaddr_un path;
  } u;
  socklen_t len;
};

enum { SOCK_URL_SIZE = 128 };

void sock_tcp(struct sock_address *, uint16_t port); /* of 127.0.0.1 */
void sock_unix(struct sock_address *, const char *path);
/* redis[s]://127.0.0.1:PORT, unix:///path[?tls=yes] */
bool sock_parse(struct sock_address *, const char *url);
bool sock_url_is_tls(const char *url);
/* sock_parse the other way round. */
void sock_url(const struct sock_address *, bool tls, char url[SOCK_URL_SIZE]);

/* A loopback port nobody listens on, below the range of the ports the kernel hands out: otherwise a
 * client that reconnects to a port that is down can be given that very port as its own and talks to
 * itself. Never 6379. */
uint16_t sock_free_port(void);

/* An abstract name that keeps all tests of this machine off the port, as long as the descriptor is
 * open. One that is bound and refuses would be shared with whoever binds it, too, and lost to the one
 * who listens then. -1: somebody else's, or errno. */
int sock_claim(uint16_t port);

/* A place to listen at that keeps its address while it refuses. */
struct listener {
  int fd;    /* non-blocking; bound all the time, listening while open */
  int claim; /* keeps other tests off the port; or -1 */
  bool open;
  struct sock_address at;
};

void listener_open_tcp(struct listener *); /* at a free port */
void listener_open_unix(struct listener *, const char *path);
void listener_refuse(struct listener *); /* connects are refused; idempotent */
void listener_resume(struct listener *); /* at the same address; idempotent */
void listener_close(struct listener *);
int listener_accept(struct listener *); /* non-blocking socket without Nagle, or -1 */

/* Starts a non-blocking connect: a descriptor, or -1 and errno. */
int sock_connect_start(const struct sock_address *);
int sock_connect(const struct sock_address *,
                 int timeout_ms);                    /* blocking socket, or -1 and errno */
bool sock_has(int fd, short events, int timeout_ms); /* poll() of one descriptor */
/* Closes with FIN: the other side reads the end of the stream, whatever it sends meanwhile. */
void sock_close(int fd);
/* Closes with RST; a Unix socket knows none and is just closed. */
void sock_reset(int fd);

#endif
