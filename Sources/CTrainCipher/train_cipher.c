#include "CTrainCipher.h"
