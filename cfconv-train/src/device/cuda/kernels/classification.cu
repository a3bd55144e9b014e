// Softmax and cross-entropy: logits [classes, B], one thread for each image, in f64 inside.

__device__ inline double log_sum_exp(const float* logits, u32 classes, u32 batch, u64 image) {
    double largest = logits[image];
    for (u32 c = 1; c < classes; ++c) {
        const double logit = logits[static_cast<u64>(c) * batch + image];
        largest = logit > largest || largest != largest ? logit : largest;
    }
    double sum = 0.0;
    for (u32 c = 0; c < classes; ++c) sum += exp(logits[static_cast<u64>(c) * batch + image] - largest);
    return largest + log(sum);
}

KERNEL cross_entropy(const float* logits, const u32* labels, float* losses, float* correct, float* grad_logits,
                     u32 classes, u32 batch, float smoothing) {
    for (u64 image = first_index(); image < batch; image += index_step()) {
        const double total = log_sum_exp(logits, classes, batch, image);
        const u32 label = labels[image];
        double loss = 0.0;
        u32 largest = 0;
        for (u32 c = 0; c < classes; ++c) {
            const u64 at = static_cast<u64>(c) * batch + image;
            const double target = static_cast<double>(smoothing) / classes + (c == label ? 1.0 - smoothing : 0.0);
            const double log_probability = logits[at] - total;
            // A class without a share of the target adds nothing, even at −∞.
            if (target > 0.0) loss -= target * log_probability;
            if (logits[at] > logits[static_cast<u64>(largest) * batch + image]) largest = c;
            if (grad_logits) grad_logits[at] = static_cast<float>((exp(log_probability) - target) / batch);
        }
        losses[image] = static_cast<float>(loss);
        correct[image] = largest == label ? 1.0f : 0.0f;
    }
}

KERNEL softmax(const float* logits, float* probabilities, u32 classes, u32 batch) {
    for (u64 image = first_index(); image < batch; image += index_step()) {
        const double total = log_sum_exp(logits, classes, batch, image);
        for (u32 c = 0; c < classes; ++c) {
            const u64 at = static_cast<u64>(c) * batch + image;
            probabilities[at] = static_cast<float>(exp(logits[at] - total));
        }
    }
}
