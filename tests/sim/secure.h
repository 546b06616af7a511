/* SPDX-License-Identifier: BSD-3-Clause */
/* secure.h - the server's end of TLS: OpenSSL over memory, one for each connection. Knows neither
 * time nor network. */
#ifndef PMX_SIM_SECURE_H
#define PMX_SIM_SECURE_H
#include <stddef.h>
#include <stdint.h>

struct secure;

void secure_begin(void);         /* once in a process */
const char *secure_ca(void);     /* PEM: whom to trust */
void secure_seed(uint64_t seed); /* all that OpenSSL draws follows from it */
/* 1: somebody is in the middle of something that failed; OpenSSL keeps what, for each thread. */
int secure_is_amid(void);

enum { SECURE_MAX = 16 * 1024 };                /* of a record */
enum { SECURE_1_2 = 1, SECURE_NO_TICKETS = 2 }; /* the newest version; nothing can be resumed */
struct secure *secure_new(int flags);
void secure_free(struct secure *); /* NULL is ignored */
int secure_is_open(const struct secure *);
void secure_take(struct secure *, const char *raw, size_t len); /* bytes from the wire … */
/* … and what the next record of them says: how much. 0: no more, -1: they are not what was sealed.
 */
int secure_open(struct secure *, char *buf);
/* For the wire: taken by secure_output. */
void secure_seal(struct secure *, const char *bytes, size_t len);
void secure_renew(struct secure *, int both); /* a key update, if there is such a thing */
void secure_end(struct secure *);             /* close notify */
const char *secure_output(struct secure *, size_t *ret_len);
void secure_taken(struct secure *);

#endif
