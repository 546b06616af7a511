/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_makers.h - what makes a stage that has one defect: of a server's certificate, its TLS, or the
 * client's certificate; and the same without it. Sees the public header only. */
#ifndef BEHAVIOUR_TLS_MAKERS_H
#define BEHAVIOUR_TLS_MAKERS_H
#include "behaviour/tls_tools.h"

/* For STAGE_NAME. */
const struct cert *usual_cert(struct stage *);
void ask_for(struct stage *, const char *name); /* "": for the host of the URL */

/* ---- defects ---- */
void make_wrong_name(struct stage *);
void make_wrong_long_names(struct stage *);
void make_wrong_ip(struct stage *);
void make_common_name_only(struct stage *);
void make_expired(struct stage *);
void make_early(struct stage *);
void make_self_signed(struct stage *);
void make_unknown_ca(struct stage *);
void make_unknown_ca_that_is_sent(struct stage *);
void make_same_name_of_another_ca(struct stage *);
void make_purpose_client(struct stage *);
void make_purpose_other(struct stage *);
void make_issued_by_no_authority(struct stage *);
void make_revoked(struct stage *);
void make_crl_of_another_ca(struct stage *);
void make_crl_expired(struct stage *);
void make_no_intermediate(struct stage *);
void make_partial_wildcard(struct stage *);
void make_wildcard_of_two_labels(struct stage *);
void make_wildcard_of_no_label(struct stage *);
void make_nul_in_name(struct stage *);

/* ---- servers that speak no TLS that we do ---- */
void make_only_1_1(struct stage *);
void make_old_server_hello(struct stage *);
void make_plain_resp(struct stage *);
void make_plain_http(struct stage *);
void make_plain_silent(struct stage *);
void make_silent(struct stage *);
void make_silent_in_the_middle(struct stage *);
void make_closes_at_once(struct stage *);

/* ---- our own certificate ---- */
void make_none_of_ours(struct stage *);
void make_none_of_ours_1_2(struct stage *);
void make_stranger_of_ours(struct stage *);
void make_stranger_of_ours_1_2(struct stage *);
void make_old_one_of_ours(struct stage *);
void make_wrong_one_of_ours(struct stage *);

/* ---- the same with what is right: the defect is what made the difference ---- */
void make_common_name_by_option(struct stage *);
void make_one_label(struct stage *);
void make_right_ip(struct stage *);
void make_trusted_copy(struct stage *);
void make_any_purpose(struct stage *);
void make_whole_chain(struct stage *);
void make_another_is_revoked(struct stage *);
void make_good_one_of_ours(struct stage *);

#endif
