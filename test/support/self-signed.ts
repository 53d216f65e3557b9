/** A certificate that no authority vouches for, with its key: worth nothing outside these tests. */
export const selfSigned = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgYvTxGnCdXexFkFhc
FqmyIXiLefZHDduKPBypEMUhUCuhRANCAAREe+Y4mqLxbmaSnWdVIfhCKkMAkb+O
yM5pjIvUdwciiX6g5rFJiIoxnaZNDBcCAlDBDB8E/B+khnp5qEhesXxL
-----END PRIVATE KEY-----
`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUApo1XTByfgOFtLP2gfakVlMViRUwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMzIzNDk0MVoYDzIxMjYxMDMw
MjM0OTQxWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAREe+Y4mqLxbmaSnWdVIfhCKkMAkb+OyM5pjIvUdwciiX6g5rFJiIox
naZNDBcCAlDBDB8E/B+khnp5qEhesXxLo28wbTAdBgNVHQ4EFgQUuyt/XMIO3lZj
1mxIfZVxc1wxDkMwHwYDVR0jBBgwFoAUuyt/XMIO3lZj1mxIfZVxc1wxDkMwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSAAwRQIgYl/l1sdRo8oFkAbRw0wio0Dy7LBeC0nMy2/N0/r2E50CIQCl
0zuEP59nFVRUFUJMdmscvGVsVC3WsCOz5JwbDKkZ1A==
-----END CERTIFICATE-----
`,
};
