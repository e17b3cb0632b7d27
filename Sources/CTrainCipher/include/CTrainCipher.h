// The cipher for trains of packets. See train_cipher.c.
#ifndef SWG_CTRAINCIPHER_H
#define SWG_CTRAINCIPHER_H
#endif
