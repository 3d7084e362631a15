/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cella-image: signs and checks the guest image. manifest.json names the SHA-256 of each file; manifest.sig is its
 * Ed25519 signature.
 *
 *   cella-image keygen PRIVATE PUBLIC	makes a key pair (PEM)
 *   cella-image sign DIR PRIVATE	writes DIR/manifest.json and DIR/manifest.sig
 *   cella-image verify DIR PUBLIC	exit status 0 if everything matches
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/io.h"

#define SIGNATURE_SIZE 64
#define MANIFEST_MAX 65536

static const char *const files[] = { "vmlinux", "initramfs.cpio" };

static int hash_file(const char *dir, const char *name, char hex[65], struct err *err)
{
	unsigned char digest[EVP_MAX_MD_SIZE], chunk[65536];
	char path[PATH_MAX];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned int len = 0;
	auto_fd fd = -1;
	ssize_t n = 0;
	int ok;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ok = ctx && fd >= 0 && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
	while (ok && (n = read(fd, chunk, sizeof(chunk))) > 0)
		ok = EVP_DigestUpdate(ctx, chunk, (size_t)n);
	ok = ok && n == 0 && EVP_DigestFinal_ex(ctx, digest, &len);
	EVP_MD_CTX_free(ctx);
	if (!ok)
		return err_set(err, errno ? errno : EIO, "read %s", path);
	for (unsigned int i = 0; i < len; i++)
		sprintf(hex + 2 * i, "%02x", digest[i]);
	return 0;
}

static json_t *make_manifest(const char *dir, struct err *err)
{
	json_t *hashes = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char hex[65];

		if (hash_file(dir, files[i], hex, err) < 0) {
			json_decref(hashes);
			return NULL;
		}
		json_object_set_new(hashes, files[i], json_string(hex));
	}
	return json_pack("{s:i, s:o}", "version", 1, "sha256", hashes);
}

static EVP_PKEY *read_key(const char *path, int private, struct err *err)
{
	auto_file file = fopen(path, "re");
	EVP_PKEY *key = !file ? NULL : private ? PEM_read_PrivateKey(file, NULL, NULL, NULL) :
						 PEM_read_PUBKEY(file, NULL, NULL, NULL);

	if (!key)
		err_set(err, file ? 0 : errno, "read key %s", path);
	return key;
}

static int sign(const char *dir, const char *key_path, struct err *err)
{
	json_t *manifest = make_manifest(dir, err);
	EVP_PKEY *key = manifest ? read_key(key_path, 1, err) : NULL;
	auto_free char *text = manifest ? json_dumps(manifest, JSON_INDENT(2) | JSON_SORT_KEYS) : NULL;
	unsigned char signature[SIGNATURE_SIZE];
	size_t len = sizeof(signature);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	auto_fd fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret = -1;

	if (!manifest || !key)
		ret = -err->code;
	else if (!text || !ctx || EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) != 1 ||
		 EVP_DigestSign(ctx, signature, &len, (unsigned char *)text, strlen(text)) != 1)
		ret = err_msg(err, EIO, "sign the manifest: not an Ed25519 key?");
	else
		ret = io_replace_file(fd, "manifest.json", text, strlen(text), 0644, err);
	if (ret == 0)
		ret = io_replace_file(fd, "manifest.sig", signature, len, 0644, err);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	json_decref(manifest);
	return ret;
}

static int check_signature(int dir, const char *key_path, char **ret_manifest, struct err *err)
{
	size_t len, signature_len;
	auto_free char *manifest = io_read_file(dir, "manifest.json", MANIFEST_MAX, &len, err);
	auto_free char *signature = manifest ? io_read_file(dir, "manifest.sig", MANIFEST_MAX, &signature_len, err) : NULL;
	EVP_PKEY *key = signature ? read_key(key_path, 0, err) : NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok;

	if (!key) {
		EVP_MD_CTX_free(ctx);
		return -err->code;
	}
	ok = ctx && signature_len == SIGNATURE_SIZE && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
	     EVP_DigestVerify(ctx, (unsigned char *)signature, signature_len, (unsigned char *)manifest, len) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	if (!ok)
		return err_msg(err, EKEYREJECTED, "manifest.json is not signed with the key %s", key_path);
	*ret_manifest = ptr_take(&manifest);
	return 0;
}

static int verify(const char *dir_path, const char *key_path, struct err *err)
{
	auto_fd dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_free char *text = NULL;
	json_t *manifest;
	int ret;

	if (dir < 0)
		return err_set(err, errno, "open %s", dir_path);
	ret = check_signature(dir, key_path, &text, err);
	if (ret < 0)
		return ret;
	manifest = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(files) && ret == 0; i++) {
		const char *wanted = json_string_value(json_object_get(json_object_get(manifest, "sha256"), files[i]));
		char hex[65];

		ret = hash_file(dir_path, files[i], hex, err);
		if (ret == 0 && (!wanted || strcmp(wanted, hex)))
			ret = err_msg(err, EKEYREJECTED, "%s does not have the SHA-256 that manifest.json names", files[i]);
	}
	json_decref(manifest);
	return ret;
}

static int keygen(const char *private_path, const char *public_path, struct err *err)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	auto_file private_file = NULL;
	auto_file public_file = NULL;
	int ret = 0;

	umask(0077);
	private_file = fopen(private_path, "wex");
	umask(0022);
	public_file = private_file ? fopen(public_path, "we") : NULL;
	if (!key || !public_file || PEM_write_PrivateKey(private_file, key, NULL, NULL, 0, NULL, NULL) != 1 ||
	    PEM_write_PUBKEY(public_file, key) != 1)
		ret = err_set(err, errno ? errno : EIO, "write %s and %s", private_path, public_path);
	EVP_PKEY_free(key);
	return ret;
}

static const struct {
	const char *name;
	int (*run)(const char *a, const char *b, struct err *err);
} verbs[] = { { "keygen", keygen }, { "sign", sign }, { "verify", verify } };

int main(int argc, char **argv)
{
	struct err err;

	for (size_t i = 0; argc == 4 && i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(verbs[i].name, argv[1]))
			continue;
		if (verbs[i].run(argv[2], argv[3], &err) == 0)
			return 0;
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	fprintf(stderr, "usage: cella-image keygen PRIVATE PUBLIC | sign DIR PRIVATE | verify DIR PUBLIC\n");
	return 2;
}
