# The CUDA part of the build: only against a CUDA libtorch, and only where there is an nvcc. Sets `with_cuda`,
# `cuda_sources`, and offers link_cuda(target). Included by CMakeLists.txt after `libtorch_root` is known.
set(CUDA "auto" CACHE STRING "Compile the CUDA sources: on, off, or auto (on where libtorch is a CUDA one and nvcc is found)")
string(TOLOWER "${CUDA}" cuda_wish)

set(with_cuda OFF)
find_library(LIB_torch_cuda torch_cuda PATHS "${libtorch_root}/lib" NO_DEFAULT_PATH NO_CACHE)
find_library(LIB_c10_cuda c10_cuda PATHS "${libtorch_root}/lib" NO_DEFAULT_PATH NO_CACHE)
if(cuda_wish STREQUAL "off")
elseif(NOT LIB_torch_cuda)
  if(NOT cuda_wish STREQUAL "auto")
    message(FATAL_ERROR "CUDA=${CUDA}, but ${libtorch_root} is a libtorch for the CPU. `npm run setup -- --cuda` fetches the other.")
  endif()
else()
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    set(with_cuda ON)
  elseif(cuda_wish STREQUAL "auto")
    message(WARNING "${libtorch_root} is a libtorch for CUDA, but there is no nvcc: building for the CPU only. "
      "Put the nvcc of a CUDA toolkit on the PATH, or name it with CUDACXX, to use GPUs.")
  else()
    message(FATAL_ERROR "CUDA=${CUDA}, but there is no nvcc. Put the one of a CUDA toolkit on the PATH, or name it with CUDACXX.")
  endif()
endif()

file(GLOB_RECURSE cuda_sources CONFIGURE_DEPENDS
  native/cuda/*.cpp native/kernels/*/cuda.cpp native/kernels/*/cuda.cu native/program/cuda_*.cpp)
if(NOT with_cuda)
  return()
endif()

# A100, H100 and H200 as machine code; PTX for those that come after.
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES "80-real;90")
endif()
enable_language(CUDA)
# CMake 3.25 does not know that this nvcc takes C++20, and device code needs no more.
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_RUNTIME_LIBRARY None)

# The runtime that libtorch itself loads: NVIDIA's wheel beside torch's, else the toolkit's.
file(GLOB cudart_candidates "${libtorch_root}/../nvidia/cu*/lib/libcudart.so.*" "${libtorch_root}/../nvidia/cuda_runtime/lib/libcudart.so.*"
  "${libtorch_root}/lib/libcudart*.so.*")
if(NOT cudart_candidates)
  get_filename_component(toolkit "${CMAKE_CUDA_COMPILER}" DIRECTORY)
  find_library(LIB_cudart cudart HINTS ${CMAKE_CUDA_IMPLICIT_LINK_DIRECTORIES} "${toolkit}/../lib64" REQUIRED)
  set(cudart_candidates "${LIB_cudart}")
endif()
list(GET cudart_candidates 0 cudart)

# A toolkit of another major version than libtorch's gives code that its runtime refuses.
string(REGEX MATCH "libcudart[^/]*\\.so\\.([0-9]+)" _ "${cudart}")
if(CMAKE_MATCH_1 AND NOT CMAKE_CUDA_COMPILER_VERSION MATCHES "^${CMAKE_MATCH_1}\\.")
  message(FATAL_ERROR "nvcc is ${CMAKE_CUDA_COMPILER_VERSION}, but ${libtorch_root} was built with CUDA ${CMAKE_MATCH_1}. "
    "Name an nvcc of that version with CUDACXX, or build for the CPU with -DCUDA=off.")
endif()
message(STATUS "CUDA: nvcc ${CMAKE_CUDA_COMPILER_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}, runtime ${cudart}")

function(link_cuda target)
  target_compile_definitions(${target} PRIVATE LD_CUDA)
  target_include_directories(${target} SYSTEM PRIVATE ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
  target_link_libraries(${target} PRIVATE -Wl,--no-as-needed "${LIB_torch_cuda}" "${LIB_c10_cuda}" "${cudart}")
endfunction()
