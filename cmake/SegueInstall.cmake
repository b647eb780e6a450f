# SPDX-License-Identifier: Apache-2.0

include(CMakePackageConfigHelpers)

set(config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/segue")
get_property(libraries GLOBAL PROPERTY SEGUE_LIBRARIES)

install(TARGETS ${libraries} EXPORT segue-targets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
if(TARGET segue_tool)
  install(TARGETS segue_tool RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()

install(EXPORT segue-targets NAMESPACE segue:: DESTINATION "${config_dir}")
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/segue-config.cmake.in"
                              "${PROJECT_BINARY_DIR}/segue-config.cmake"
                              INSTALL_DESTINATION "${config_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/segue-config-version.cmake"
                                 COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/segue-config.cmake"
              "${PROJECT_BINARY_DIR}/segue-config-version.cmake" DESTINATION "${config_dir}")
