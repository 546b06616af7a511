/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_defects.h - every defect that a server's certificate, its TLS, or the client's certificate
 * can have, what has to be said of it, and the same without it. Sees the public header only. */
#ifndef BEHAVIOUR_TLS_DEFECTS_H
#define BEHAVIOUR_TLS_DEFECTS_H
#include "behaviour/tls_tools.h"

enum { FAKE_ONLY = 1, WANTS_CLIENTS = 2 }; /* a real server has no such defect; tls-auth-clients */
struct refusal {
  const char *name;
  void (*make)(struct stage *); /* asks for STAGE_NAME already */
  unsigned flags;
  pmx_cause cause;
  const char *says[6];
};
extern const struct refusal refusals[];
extern const int refusal_count;
/* What is accepted. */
extern void (*const good_ones[])(struct stage *);
extern const int good_count;

#endif
