/*
 * What Swift cannot see of OpenSSL 3.0 by itself: macros, variadic calls and typed stacks.
 * Every function here is one line over the macro it is named after; decisions are in MusterTLS.
 * `muster_tune_malloc` is here for the same reason: mallopt is a C-only call.
 */
#ifndef MUSTER_COPENSSL_SHIM_H
#define MUSTER_COPENSSL_SHIM_H

#include <malloc.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

/*
 * glibc maps and unmaps every buffer above 128 KiB afresh, which halves bulk throughput.
 * Call once at start, before threads: large buffers then stay in the heap. Returns 1 on success.
 */
static inline int muster_tune_malloc(void) {
    return mallopt(M_MMAP_THRESHOLD, 32 << 20) && mallopt(M_TRIM_THRESHOLD, 256 << 20);
}

/* Contexts and sessions */
static inline int muster_SSL_CTX_set_versions(SSL_CTX *ctx, int lowest, int highest) {
    return SSL_CTX_set_min_proto_version(ctx, lowest)
        && SSL_CTX_set_max_proto_version(ctx, highest);
}
/* No tickets, no renegotiation, no compression; the server's cipher order counts. */
static inline void muster_SSL_CTX_harden(SSL_CTX *ctx) {
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION
                                 | SSL_OP_CIPHER_SERVER_PREFERENCE);
}
static inline long muster_SSL_CTX_set_mode(SSL_CTX *ctx, long mode) {
    return SSL_CTX_set_mode(ctx, mode);
}
static inline long muster_SSL_CTX_session_cache_off(SSL_CTX *ctx) {
    return SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
}
static inline long muster_SSL_CTX_set_max_cert_list(SSL_CTX *ctx, long bytes) {
    return SSL_CTX_set_max_cert_list(ctx, bytes);
}
static inline int muster_SSL_CTX_set_groups(SSL_CTX *ctx, const char *list) {
    return SSL_CTX_set1_groups_list(ctx, list) == 1;
}
static inline int muster_SSL_CTX_set_sigalgs(SSL_CTX *ctx, const char *list) {
    return SSL_CTX_set1_sigalgs_list(ctx, list) == 1;
}
static inline int muster_SSL_CTX_add1_chain_cert(SSL_CTX *ctx, X509 *certificate) {
    return SSL_CTX_add1_chain_cert(ctx, certificate) == 1;
}
static inline int muster_SSL_set_owner(SSL *ssl, void *owner) {
    return SSL_set_app_data(ssl, owner);
}
static inline void *muster_SSL_get_owner(const SSL *ssl) {
    return SSL_get_app_data(ssl);
}

/* BIO */
static inline void muster_BIO_set_retry_read(BIO *bio) { BIO_set_retry_read(bio); }
static inline void muster_BIO_clear_retry_flags(BIO *bio) { BIO_clear_retry_flags(bio); }
static inline long muster_BIO_get_mem_data(BIO *bio, char **data) {
    return BIO_get_mem_data(bio, data);
}

/* Keys */
static inline EVP_PKEY *muster_EVP_EC_gen_p256(void) { return EVP_EC_gen("P-256"); }

/* Stacks */
static inline int muster_X509_num(const STACK_OF(X509) *s) { return sk_X509_num(s); }
static inline X509 *muster_X509_at(const STACK_OF(X509) *s, int i) { return sk_X509_value(s, i); }
static inline STACK_OF(X509) *muster_X509_stack(X509 *only) {
    STACK_OF(X509) *s = sk_X509_new_null();
    if (s != NULL && sk_X509_push(s, only) == 0) {
        sk_X509_free(s);
        return NULL;
    }
    return s;
}
/* Frees the stack, not the certificates in it. */
static inline void muster_X509_stack_free(STACK_OF(X509) *s) { sk_X509_free(s); }

static inline STACK_OF(GENERAL_NAME) *muster_GENERAL_NAMES_new(void) {
    return sk_GENERAL_NAME_new_null();
}
static inline int muster_GENERAL_NAMES_num(const STACK_OF(GENERAL_NAME) *s) {
    return sk_GENERAL_NAME_num(s);
}
static inline GENERAL_NAME *muster_GENERAL_NAMES_at(const STACK_OF(GENERAL_NAME) *s, int i) {
    return sk_GENERAL_NAME_value(s, i);
}
static inline int muster_GENERAL_NAMES_push(STACK_OF(GENERAL_NAME) *s, GENERAL_NAME *name) {
    return sk_GENERAL_NAME_push(s, name) > 0;
}
static inline STACK_OF(ASN1_OBJECT) *muster_ASN1_OBJECTS_new(void) {
    return sk_ASN1_OBJECT_new_null();
}
static inline int muster_ASN1_OBJECTS_num(const STACK_OF(ASN1_OBJECT) *s) {
    return sk_ASN1_OBJECT_num(s);
}
static inline ASN1_OBJECT *muster_ASN1_OBJECTS_at(const STACK_OF(ASN1_OBJECT) *s, int i) {
    return sk_ASN1_OBJECT_value(s, i);
}
static inline int muster_ASN1_OBJECTS_push(STACK_OF(ASN1_OBJECT) *s, ASN1_OBJECT *object) {
    return sk_ASN1_OBJECT_push(s, object) > 0;
}

#endif
