// The sum of `value` over the block, in every thread: a butterfly in each warp, then the warps' sums in
// order. blockDim.x is a multiple of 32, blockDim.y is 1.
__device__ double sum_over_block(double value) {
    __shared__ double warp[32];
    for (int lane = 16; lane > 0; lane /= 2) value += __shfl_xor_sync(0xffffffffu, value, lane);
    __syncthreads();  // whoever still reads the former sum
    if (threadIdx.x % 32 == 0) warp[threadIdx.x / 32] = value;
    __syncthreads();
    double total = 0;
    for (unsigned w = 0; w < blockDim.x / 32; ++w) total += warp[w];
    return total;
}
