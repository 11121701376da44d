// Reads and writes OpenPGP with OpenPGP.js. Each line of the standard input is a
// command with its arguments, most of them files, between tabs; each line of the
// standard output says how it went: "ok", or "error" and the reason.

import { readFile, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import * as openpgp from 'openpgp';

const { aead } = openpgp.enums;

// What keys of each kind are made with.
const kinds = {
  'rsa': { type: 'rsa', rsaBits: 2048 },
  'p256': { type: 'ecc', curve: 'nistP256' },
  'p384': { type: 'ecc', curve: 'nistP384' },
  'legacy': { type: 'ecc', curve: 'ed25519Legacy' },
  'new': { type: 'curve25519' },
  'rsa-ocb': { type: 'rsa', rsaBits: 2048, config: { aeadProtect: true, preferredAEADAlgorithm: aead.ocb } },
  'rsa-gcm': { type: 'rsa', rsaBits: 2048, config: { aeadProtect: true, preferredAEADAlgorithm: aead.gcm } },
  'v6-ocb': { type: 'curve25519', config: { v6Keys: true, aeadProtect: true, preferredAEADAlgorithm: aead.ocb } },
  'v6-gcm': { type: 'curve25519', config: { v6Keys: true, aeadProtect: true, preferredAEADAlgorithm: aead.gcm } },
};

const text = (file) => readFile(file, 'utf8');
const binary = async (file) => new Uint8Array(await readFile(file));
const publicKey = async (file) => openpgp.readKey({ armoredKey: await text(file) });
const privateKey = async (file) => openpgp.readPrivateKey({ armoredKey: await text(file) });

const commands = {
  // generate KIND NAME KEY CERT FINGERPRINT
  async generate(kind, name, key, cert, fingerprint) {
    const made = await openpgp.generateKey({
      ...kinds[kind],
      userIDs: [{ name, email: `${name}@example.com` }],
      format: 'object',
      date: new Date(Date.now() - 60_000),
    });
    await writeFile(key, made.privateKey.armor());
    await writeFile(cert, made.publicKey.armor());
    await writeFile(fingerprint, made.publicKey.getFingerprint());
  },

  // sign KEY IN OUT
  async sign(key, input, output) {
    const message = await openpgp.createMessage({ binary: await binary(input) });
    await writeFile(output, await openpgp.sign({ message, signingKeys: await privateKey(key), detached: true }));
  },

  // verify CERT CONTENT SIGNATURE
  async verify(cert, content, signature) {
    await openpgp.verify({
      message: await openpgp.createMessage({ binary: await binary(content) }),
      signature: await openpgp.readSignature({ armoredSignature: await text(signature) }),
      verificationKeys: await publicKey(cert),
      expectSigned: true,
      format: 'binary',
    });
  },

  // encrypt KEY|"" hidden|"" IN OUT CERT...
  async encrypt(key, hidden, input, output, ...certs) {
    const encryptionKeys = await Promise.all(certs.map(publicKey));
    // OpenPGP.js goes by its own preference among what all recipients read: make
    // it that of the first one.
    const { preferredCipherSuites } = await encryptionKeys[0].getPrimarySelfSignature();
    const [, preferred] = preferredCipherSuites?.[0] ?? [];
    await writeFile(output, await openpgp.encrypt({
      message: await openpgp.createMessage({ binary: await binary(input) }),
      encryptionKeys,
      signingKeys: key ? await privateKey(key) : undefined,
      wildcard: Boolean(hidden),
      config: preferred ? { preferredAEADAlgorithm: preferred } : {},
    }));
  },

  // decrypt KEY CERT|"" IN OUT
  async decrypt(key, cert, input, output) {
    const { data } = await openpgp.decrypt({
      message: await openpgp.readMessage({ armoredMessage: await text(input) }),
      decryptionKeys: await privateKey(key),
      verificationKeys: cert ? await publicKey(cert) : undefined,
      expectSigned: Boolean(cert),
      format: 'binary',
    });
    await writeFile(output, data);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...args] = line.split('\t');
  try {
    await commands[command](...args);
    console.log('ok');
  } catch (e) {
    console.log(`error ${String(e).replaceAll(/\s+/g, ' ')}`);
  }
}
