# find_package(ipc_ring) gives the target ipc_ring::ipc_ring: headers, and what they need.
get_filename_component(ipc_ring_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
find_path(ipc_ring_CK_INCLUDE_DIR ck_pr.h DOC "the folder of Concurrency Kit's headers")
if(NOT ipc_ring_CK_INCLUDE_DIR)
    set(ipc_ring_FOUND FALSE)
    set(ipc_ring_NOT_FOUND_MESSAGE
        "Concurrency Kit is missing: install libck-dev (Debian, Ubuntu) or concurrencykit (Arch)")
    return()
endif()
include(CMakeFindDependencyMacro)
find_dependency(Threads)
if(NOT TARGET ipc_ring::ipc_ring)
    add_library(ipc_ring::ipc_ring INTERFACE IMPORTED)
    set_target_properties(ipc_ring::ipc_ring PROPERTIES
        INTERFACE_INCLUDE_DIRECTORIES "${ipc_ring_prefix}/include;${ipc_ring_CK_INCLUDE_DIR}"
        # rt: for a glibc before 2.34
        INTERFACE_LINK_LIBRARIES "Threads::Threads;$<$<PLATFORM_ID:Linux>:rt>")
endif()
