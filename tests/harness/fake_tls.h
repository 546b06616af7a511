/* SPDX-License-Identifier: BSD-3-Clause */
/* fake_tls.h - the fake server over TLS: how it shakes hands, in what pieces its records travel,
 * what it does to them that no server does, and what it saw of the other side.
 *
 * With .over = OVER_TLS or OVER_TLS_UNIX scripts and handlers stay as they are: what is to be sent
 * waits for the handshake, FAKE_CLOSE says close_notify first, and fake_received counts what was
 * decrypted: 0 proves that not a byte of a command arrived. */
#ifndef HARNESS_FAKE_TLS_H
#define HARNESS_FAKE_TLS_H
#include "fake.h"

/* All zero: the certificate of certs_default(), any client, any version. Texts are borrowed. */
struct fake_tls {
  bool plain;             /* speaks RESP without TLS, at an address that promises TLS */
  const char *cert, *key; /* files: chain and key; NULL: the usual ones */
  const char *ca;         /* a file: clients must show a certificate that one of these signed */
  int min_version, max_version; /* TLS1_2_VERSION …; max below 1.2: what is weak is allowed */
  bool no_tickets;              /* no session is given out, none resumed */
  unsigned key_update_every;    /* after so many records: KeyUpdate, which asks for one in return */
  bool silent;                  /* hears the handshake and says nothing */
  /* Raw bytes: a pause after the first of so many, then after each segment; 0 = none. */
  size_t first, segment;
  int64_t pause_us; /* less than 0: it never ends */
};

/* ---- in order with what else a connection is sent; without TLS: as if it were not there, but raw
 * bytes are sent and a truncation is a close. In scripts: FAKE_TLS(KEY_UPDATE), FAKE_RAW("…") ----
 */
#define FAKE_TLS(what)                                                                             \
  {                                                                                                \
    .op = FAKE_OP_##what                                                                           \
  }
#define FAKE_RAW(literal)                                                                          \
  {                                                                                                \
    .op = FAKE_OP_RAW, .bytes = (literal), .len = sizeof(literal) - 1                              \
  }
void fake_tls_key_update(struct fake_conn *); /* KEY_UPDATE: and asks for one in return */
void fake_tls_ticket(struct fake_conn *);     /* TICKET: another session */
void fake_tls_raw(struct fake_conn *, const void *bytes, size_t len); /* between two records */
void fake_tls_notify(struct fake_conn *); /* NOTIFY: close_notify, and stays; nothing may follow */
void fake_tls_truncate(struct fake_conn *); /* TRUNCATE: closes without close_notify */
/* At once: as in struct fake_tls, counted from the next byte that leaves; ends a pause. */
void fake_tls_pauses(struct fake_conn *, size_t first, size_t segment, int64_t pause_us);

/* ---- what was seen ---- */
struct fake_tls_seen {
  bool handshaken, resumed;
  bool ended;  /* it sent close_notify */
  bool failed; /* and why, as OpenSSL says it: "… alert unknown ca …" */
  char why[200];
  int version;           /* TLS1_3_VERSION … */
  char server_name[256]; /* the name it asked for; "" = none */
  char subject[256];     /* of its certificate; "" = none */
  size_t raw_received, raw_sent;
  size_t records; /* of application data that were sent */
};
struct fake_tls_seen fake_tls_seen(struct fake_conn *);
bool fake_wait_handshakes(struct fake *, size_t n, int timeout_ms); /* so many were done */
bool fake_wait_tls_failed(struct fake_conn *, int timeout_ms);

#endif
