/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_options.h - what must hold among tls and the tls.* options, and which of them a URL may set.
 *
 * The rule for URLs: a URL often comes from elsewhere than the program, so it may ask for more
 * safety than the program did, never for less. It may switch TLS on, raise tls.min_version, say who
 * we are (tls.cert_file …), and, unless the program has said any of it, whom to trust
 * (tls.server_name, tls.ca_*, tls.crl_file). What can only loosen belongs to the program:
 * tls.insecure_skip_verify, tls.common_name, and the lists of ciphers and groups. */
#ifndef PMX_API_TLS_OPTIONS_H
#define PMX_API_TLS_OPTIONS_H
#include "api/options.h"
#include "base/text.h"

int tls_options_check(const struct config *, struct text *error); /* 0, or -1 and why */
/* After the query of a URL has set `id`, which made `after` of `before`: may it? 0, or -1 and why.
 */
int tls_options_check_url(const struct config *before, const struct config *after,
                          enum option_id id, struct text *error);

#endif
